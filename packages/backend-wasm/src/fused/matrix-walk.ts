import {
  type Code,
  type FunctionScope,
  i32,
  type Local,
  repeatWhile,
  select,
  sequence,
  when,
} from '@frugaljs/wasm-assembly';
import { visitPlaces } from './lanes.js';

/**
 * How many entries a piece of code works on: four, or the one in the first lane at the end of a row. Of values per block
 * a vector holds those of four small blocks, or that of one large block in all lanes.
 */
export type Width = 'vector' | 'first lane';

/** Places in a matrix that are worked on at the same time. */
const PLACES = 4;

/** Columns of the largest blocks of which four are worked on together, so that their values fill a vector. */
const SMALL = 8;

/** Whether four blocks of this size are worked on together; else it is one. */
export function hasFourBlocks(size: number): boolean {
  return size > 1 && size <= SMALL && isPowerOfTwo(size);
}

function isPowerOfTwo(size: number): boolean {
  return (size & (size - 1)) === 0;
}

/** Vectors of a block for which the code is written down one after the other; of more it is a loop. */
const UNROLLED = 4;

/** The loops over a matrix of float32, and where in it the code is that they repeat. */
export class MatrixWalk {
  private element: Local;
  private readonly column: Local;
  /** Byte offset of the current row's entry in an array of one entry per row. */
  readonly rowAt: Local;
  /** Byte offset of the current block's entry in an array of one entry per block. */
  readonly blockAt: Local;
  /** Four blocks are worked on together; else it is one. */
  readonly hasFour: boolean;
  private readonly left: Local;
  private readonly rowsLeft: Local;
  private readonly inBlock: Local;
  private readonly blockLeft: Local;
  /** Bytes from the current element and column to those that the code is for; part of its loads and stores. */
  offset = 0;
  /** Entries of the blocks that are worked on together. */
  private readonly lanes: number;

  /** @param size Columns in a block. */
  constructor(
    private readonly scope: FunctionScope,
    private readonly rows: Local,
    private readonly columns: Local,
    private readonly size: number,
  ) {
    [this.element, this.column, this.rowAt, this.blockAt, this.left, this.rowsLeft, this.inBlock, this.blockLeft] =
      scope.locals('i32', 8) as [Local, Local, Local, Local, Local, Local, Local, Local];
    this.hasFour = hasFourBlocks(size);
    this.lanes = this.hasFour ? 4 * size : size;
  }

  /** Byte offset of the current element; a variable of its own for each place in {@link eachElement}. */
  get at(): Local {
    return this.element;
  }

  /** Byte offset of the current column, from the first. */
  get columnAt(): Local {
    return this.column;
  }

  /** Blocks are whole vectors, or vectors whole blocks. */
  private get isAligned(): boolean {
    return isPowerOfTwo(this.size);
  }

  /**
   * Visits all rows in their order.
   *
   * @param along Goes through the elements of a row: {@link alongRow} or {@link alongBlocks}.
   */
  eachRow(before: Code, along: Code, after: Code): Code {
    return sequence(
      this.element.set(0),
      this.blockAt.set(0),
      this.rowAt.set(0),
      this.rowsLeft.set(this.rows),
      repeatWhile(this.rowsLeft, before, along, after, this.rowAt.advance(4), this.rowsLeft.advance(-1)),
    );
  }

  /** Visits the elements of a row. */
  alongRow(inner: (width: Width) => Code): Code {
    const step = (lanes: number): Code[] => [...this.advance(lanes), this.left.advance(-lanes)];
    return sequence(
      this.column.set(0),
      this.left.set(this.columns),
      repeatWhile(i32.geU(this.left, 4), inner('vector'), ...step(4)),
      repeatWhile(this.left, inner('first lane'), ...step(1)),
    );
  }

  /** Visits the blocks of a row: four or one at a time, then by single entries what is left. */
  alongBlocks(body: (width: Width) => Code): Code {
    const { lanes, size, left, inBlock } = this;
    const vectors = repeatWhile(
      i32.geU(left, lanes),
      body('vector'),
      ...this.advance(lanes),
      this.blockAt.advance(this.hasFour ? 16 : 4),
      left.advance(-lanes),
    );
    return sequence(
      this.column.set(0),
      left.set(this.columns),
      this.isAligned ? vectors : sequence(),
      repeatWhile(
        left,
        inBlock.set(select(left, size, i32.ltU(left, size))),
        body('first lane'),
        this.element.advance(i32.shl(inBlock, 2)),
        this.column.advance(i32.shl(inBlock, 2)),
        this.blockAt.advance(4),
        left.set(i32.sub(left, inBlock)),
      ),
    );
  }

  /** Visits all blocks, without their rows and columns: in no particular order where whole blocks fill the rows. */
  eachBlock(body: (width: Width) => Code): Code {
    const byRows = this.eachRow(sequence(), this.alongBlocks(body), sequence());
    if (!this.isAligned) return byRows;
    const visit = (width: Width, place: Local): Code => {
      const { element } = this;
      this.element = place;
      // Blocks of n entries fill the rows, so that their values lie n times as close as the entries.
      const code = sequence(this.blockAt.set(i32.shrU(place, Math.log2(this.size))), body(width));
      this.element = element;
      return code;
    };
    const anywhere = sequence(
      this.left.set(i32.mul(this.rows, this.columns)),
      this.inBlock.set(this.size),
      visitPlaces(
        this.scope,
        0,
        this.left,
        PLACES,
        places => sequence(...places.map(place => visit('vector', place))),
        place => visit('first lane', place),
        this.lanes,
        this.size,
      ),
    );
    return when(i32.and(this.columns, this.size - 1), byRows, anywhere);
  }

  /**
   * Visits the entries of the blocks at hand, and comes back.
   *
   * @param inner Code for a vector of this number, or for an entry.
   */
  throughBlock(width: Width, inner: (vector: number) => Code): Code {
    const { blockLeft } = this;
    const vectors = this.lanes / 4;
    if (width === 'vector' && (this.hasFour || vectors <= UNROLLED)) {
      const parts = Array.from({ length: vectors }, (_, i) => {
        this.offset = 16 * i;
        return inner(i);
      });
      this.offset = 0;
      return sequence(...parts);
    }
    const [count, lanes] = width === 'vector' ? [vectors, 4] : [this.inBlock, 1];
    const bytes = width === 'vector' ? 4 * this.lanes : i32.shl(this.inBlock, 2);
    return sequence(
      blockLeft.set(count),
      repeatWhile(blockLeft, inner(0), ...this.advance(lanes), blockLeft.advance(-1)),
      this.element.set(i32.sub(this.element, bytes)),
      this.column.set(i32.sub(this.column, bytes)),
    );
  }

  /** Which lanes of values per block a vector of entries has, by its number. */
  lanesOfBlocks(width: Width, vector: number): readonly [number, number, number, number] {
    if (width !== 'vector' || !this.hasFour) return [0, 1, 2, 3];
    const of = (lane: number): number => Math.floor((4 * vector + lane) / this.size);
    return [of(0), of(1), of(2), of(3)];
  }

  /** Visits all elements, in no particular order, without their rows and columns. */
  eachElement(body: (width: Width) => Code): Code {
    const { element } = this;
    const visit = (width: Width, place: Local): Code => {
      this.element = place;
      return body(width);
    };
    const code = sequence(
      this.left.set(i32.mul(this.rows, this.columns)),
      visitPlaces(
        this.scope,
        0,
        this.left,
        PLACES,
        places => sequence(...places.map(place => visit('vector', place))),
        place => visit('first lane', place),
      ),
    );
    this.element = element;
    return code;
  }

  /** Visits all columns, without their elements. */
  eachColumn(body: (width: Width) => Code): Code {
    return sequence(
      this.column.set(0),
      this.left.set(this.columns),
      repeatWhile(i32.geU(this.left, 4), body('vector'), this.column.advance(16), this.left.advance(-4)),
      repeatWhile(this.left, body('first lane'), this.column.advance(4), this.left.advance(-1)),
    );
  }

  /** Visits all columns four by four, for an array of one entry per column that is padded to whole vectors. */
  eachColumnVector(body: () => Code): Code {
    return sequence(
      this.column.set(0),
      this.left.set(i32.shrU(i32.add(this.columns, 3), 2)),
      repeatWhile(this.left, body(), this.column.advance(16), this.left.advance(-1)),
    );
  }

  private advance(lanes: number): Code[] {
    return [this.element.advance(4 * lanes), this.column.advance(4 * lanes)];
  }
}
