import type { Graph } from '@frugaljs/core';
import { integers, type Local, ModuleBuilder, sequence } from '@frugaljs/wasm-assembly';
import { DenseValues } from './dense-values.js';
import { type KernelSignature, outputParameter, signatureParameters } from './kernel-signature.js';
import { ReductionPass } from './reduction-pass.js';
import { writingPass } from './writing-pass.js';

/**
 * A kernel that runs a graph over a matrix in memory: one pass over its elements per stage of reductions, of which the
 * last one writes. `run(rows, columns, scratch, …signature)`.
 */
export function denseKernel(graph: Graph, signature: KernelSignature): ModuleBuilder {
  const module = new ModuleBuilder();
  const parameters = { ...integers('rows', 'columns', 'scratch'), ...signatureParameters(signature) };
  module.define('run', parameters, (locals: Readonly<Record<string, Local>>, scope) => {
    const values = new DenseValues(graph, signature, locals, scope);
    const spare = scope.local('v128');
    const parts = [values.numbers(), values.scratch.layOut()];
    const last = Math.max(0, ...values.stages);
    for (let stage = 0; stage < last; stage++) {
      parts.push(values.perTensor(stage), new ReductionPass(values, stage + 1, scope, spare).emit());
    }
    parts.push(
      values.perTensor(last),
      writingPass(values, name => locals[outputParameter(name)]!),
    );
    return sequence(...parts);
  });
  return module;
}
