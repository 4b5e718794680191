import type { Extent } from '@frugaljs/core';
import { type Code, i32, type Local, sequence, v128 } from '@frugaljs/wasm-assembly';
import type { DenseValues } from './dense-values.js';
import { storeLane } from './lanes.js';
import type { Width } from './matrix-walk.js';

interface Output {
  readonly node: number;
  readonly extent: Extent;
  readonly address: Local;
}

/**
 * The last pass, which computes and writes the results.
 *
 * @param addressOf Where an output is to be written.
 */
export function writingPass(values: DenseValues, addressOf: (name: string) => Local): Code {
  const outputs = Object.entries(values.graph.outputs).map(([name, output]) => ({
    ...output,
    address: addressOf(name),
  }));
  const of = (extent: Extent): readonly Output[] => outputs.filter(output => output.extent === extent);
  const nodes = (list: readonly Output[]): readonly number[] => list.map(({ node }) => node);
  const store = (list: readonly Output[], at: Local, width: Width): Code =>
    sequence(
      ...list.map(({ node, address }) => {
        const [target, value] = [i32.add(address, at), values.value(node)];
        return width === 'vector' ? v128.store(target, value) : storeLane(target, value, 0);
      }),
    );
  const { walk } = values;
  const [element, row, column] = [of('element'), of('row'), of('column')];
  const parts: Code[] = [];
  if (element.length > 0 || row.length > 0) {
    parts.push(
      values.eachRow(
        [...nodes(element), ...nodes(row)],
        sequence(),
        element.length === 0 ? null : width => store(element, walk.at, width),
        store(row, walk.rowAt, 'first lane'),
      ),
    );
  }
  // Values per column are still read by later rows, so they are written after all of them.
  if (column.length > 0) parts.push(values.eachColumn(nodes(column), width => store(column, walk.columnAt, width)));
  for (const { node, address } of of('tensor')) parts.push(storeLane(address, values.value(node), 0));
  return sequence(...parts);
}
