import { type Code, type FunctionScope, i32, type Local, repeatWhile, sequence } from '@frugaljs/wasm-assembly';
import { visitPlaces } from './places.js';

/** How many entries a piece of code works on: four, or the one in the first lane at the end of a row. */
export type Width = 'vector' | 'first lane';

/** Places in a matrix that are worked on at the same time. */
const PLACES = 4;

/** The loops over a matrix of float32, and where in it the code is that they repeat. */
export class MatrixWalk {
  private element: Local;
  /** Byte offset of the current column, from the first. */
  readonly columnAt: Local;
  /** Byte offset of the current row's entry in an array of one entry per row. */
  readonly rowAt: Local;
  private readonly left: Local;
  private readonly rowsLeft: Local;

  constructor(
    private readonly scope: FunctionScope,
    private readonly rows: Local,
    private readonly columns: Local,
  ) {
    this.element = scope.local('i32');
    this.columnAt = scope.local('i32');
    this.rowAt = scope.local('i32');
    this.left = scope.local('i32');
    this.rowsLeft = scope.local('i32');
  }

  /** Byte offset of the current element; a variable of its own for each place in {@link eachElement}. */
  get at(): Local {
    return this.element;
  }

  /** Visits all rows in their order, and if `inner` is given all elements of each. */
  eachRow(before: Code, inner: ((width: Width) => Code) | null, after: Code): Code {
    return sequence(
      this.element.set(0),
      this.rowAt.set(0),
      this.rowsLeft.set(this.rows),
      repeatWhile(
        this.rowsLeft,
        before,
        inner === null ? sequence() : this.alongRow(inner),
        after,
        this.rowAt.advance(4),
        this.rowsLeft.advance(-1),
      ),
    );
  }

  private alongRow(inner: (width: Width) => Code): Code {
    const step = (lanes: number): Code[] => [
      this.element.advance(4 * lanes),
      this.columnAt.advance(4 * lanes),
      this.left.advance(-lanes),
    ];
    return sequence(
      this.columnAt.set(0),
      this.left.set(this.columns),
      repeatWhile(i32.geU(this.left, 4), inner('vector'), ...step(4)),
      repeatWhile(this.left, inner('first lane'), ...step(1)),
    );
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
      this.columnAt.set(0),
      this.left.set(this.columns),
      repeatWhile(i32.geU(this.left, 4), body('vector'), this.columnAt.advance(16), this.left.advance(-4)),
      repeatWhile(this.left, body('first lane'), this.columnAt.advance(4), this.left.advance(-1)),
    );
  }

  /** Visits all columns four by four, for an array of one entry per column that is padded to whole vectors. */
  eachColumnVector(body: () => Code): Code {
    return sequence(
      this.columnAt.set(0),
      this.left.set(i32.shrU(i32.add(this.columns, 3), 2)),
      repeatWhile(this.left, body(), this.columnAt.advance(16), this.left.advance(-1)),
    );
  }
}
