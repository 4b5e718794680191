/** A buffer that grows to the largest size asked for. Its contents last until the next call. */
export class ScratchBuffer {
  private buffer: GPUBuffer | null = null;

  constructor(
    private readonly device: GPUDevice,
    private readonly label: string,
    /** Called before a smaller buffer is destroyed: commands that use it must have been submitted. */
    private readonly submit: () => void,
  ) {}

  /** A buffer of at least so many 32-bit numbers. */
  atLeast(length: number): GPUBuffer {
    const size = 4 * Math.max(length, 64);
    if (this.buffer === null || this.buffer.size < size) {
      this.destroy();
      // COPY_SRC and COPY_DST let a debugger and a test look inside.
      const usage = GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST;
      this.buffer = this.device.createBuffer({ label: this.label, size, usage });
    }
    return this.buffer;
  }

  destroy(): void {
    if (this.buffer === null) return;
    this.submit();
    this.buffer.destroy();
    this.buffer = null;
  }
}
