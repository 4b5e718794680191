/**
 * A minimal LLaMA (RMSNorm, rotary embedding, causal attention, SwiGLU, untied head) in tfjs-core ops, with weights
 * in Hugging Face layout `(out, in)`. It exists to have a realistic mix of kernels to time.
 */
import {
  add,
  concat,
  gather,
  logSoftmax,
  matMul,
  mean,
  mul,
  neg,
  oneHot,
  ones,
  randomNormal,
  reshape,
  rsqrt,
  type Scalar,
  sigmoid,
  slice,
  softmax,
  square,
  sum,
  type Tensor,
  type Tensor1D,
  type Tensor2D,
  type Tensor4D,
  tensor2d,
  tidy,
  transpose,
  type Variable,
  variable,
} from '@tensorflow/tfjs-core';

/** Sizes of the model and of one batch. */
export interface LlamaSizes {
  readonly layers: number;
  readonly width: number;
  readonly heads: number;
  readonly hidden: number;
  readonly vocabulary: number;
  readonly batch: number;
  readonly length: number;
}

interface Block {
  readonly attentionNorm: Variable;
  readonly query: Variable;
  readonly key: Variable;
  readonly value: Variable;
  readonly output: Variable;
  readonly mlpNorm: Variable;
  readonly gate: Variable;
  readonly up: Variable;
  readonly down: Variable;
}

/** The trainable variables and the loss of one batch. */
export interface Llama {
  readonly variables: Variable[];
  loss(tokens: Tensor1D, targets: Tensor1D): Scalar;
}

/** Builds the model on the current backend; weights are normal with deviation 0.02 and a fixed seed. */
export function createLlama(sizes: LlamaSizes): Llama {
  const { layers, width, heads, hidden, vocabulary, batch, length } = sizes;
  const headSize = width / heads;
  let seed = 0;
  const weight = (rows: number, columns: number): Variable =>
    variable(randomNormal([rows, columns], 0, 0.02, 'float32', ++seed));
  const scale = (): Variable => variable(ones([width]));

  const embedding = weight(vocabulary, width);
  const blocks: Block[] = Array.from({ length: layers }, () => ({
    attentionNorm: scale(),
    query: weight(width, width),
    key: weight(width, width),
    value: weight(width, width),
    output: weight(width, width),
    mlpNorm: scale(),
    gate: weight(hidden, width),
    up: weight(hidden, width),
    down: weight(width, hidden),
  }));
  const finalNorm = scale();
  const head = weight(vocabulary, width);

  const { cosine, sine } = rotaryTables(length, headSize);
  const mask = tensor2d(
    Array.from({ length }, (_, i) => Array.from({ length }, (_, j) => (j > i ? -1e9 : 0))),
    [length, length],
  );

  const linear = (x: Tensor2D, w: Variable): Tensor2D => matMul(x, w as unknown as Tensor2D, false, true);
  const norm = (x: Tensor2D, w: Variable): Tensor2D => mul(mul(x, rsqrt(add(mean(square(x), -1, true), 1e-5))), w);
  const rotate = (x: Tensor4D): Tensor4D => {
    const half = headSize / 2;
    const low = slice(x, [0, 0, 0, 0], [-1, -1, -1, half]);
    const high = slice(x, [0, 0, 0, half], [-1, -1, -1, half]);
    return add(mul(x, cosine), mul(concat([neg(high), low], 3), sine));
  };
  const split = (x: Tensor2D): Tensor4D => transpose(reshape(x, [batch, length, heads, headSize]), [0, 2, 1, 3]);

  const attention = (x: Tensor2D, block: Block): Tensor2D => {
    const query = rotate(split(linear(x, block.query)));
    const key = rotate(split(linear(x, block.key)));
    const value = split(linear(x, block.value));
    const scores = add(mul(matMul(query, key, false, true), 1 / Math.sqrt(headSize)), mask);
    const mixed = matMul(softmax(scores), value) as Tensor4D;
    return linear(reshape(transpose(mixed, [0, 2, 1, 3]), [batch * length, width]), block.output);
  };
  const mlp = (x: Tensor2D, block: Block): Tensor2D => {
    const gate = linear(x, block.gate);
    return linear(mul(mul(gate, sigmoid(gate)), linear(x, block.up)), block.down);
  };

  const loss = (tokens: Tensor1D, targets: Tensor1D): Scalar =>
    tidy(() => {
      let x = gather(embedding as unknown as Tensor2D, tokens) as Tensor2D;
      for (const block of blocks) {
        x = add(x, attention(norm(x, block.attentionNorm), block));
        x = add(x, mlp(norm(x, block.mlpNorm), block));
      }
      const logits = linear(norm(x, finalNorm), head);
      const picked = sum(mul(logSoftmax(logits), oneHot(targets, vocabulary)), -1);
      return neg(mean(picked)) as Scalar;
    });

  const variables = [embedding, ...blocks.flatMap(block => Object.values(block) as Variable[]), finalNorm, head];
  return { variables, loss };
}

function rotaryTables(length: number, headSize: number): { cosine: Tensor; sine: Tensor } {
  const half = headSize / 2;
  const angle = (position: number, i: number): number => position / 10000 ** ((i % half) / half);
  const table = (f: (x: number) => number): Tensor2D =>
    tensor2d(
      Array.from({ length }, (_, t) => Array.from({ length: headSize }, (_, i) => f(angle(t, i)))),
      [length, headSize],
    );
  return { cosine: table(Math.cos), sine: table(Math.sin) };
}
