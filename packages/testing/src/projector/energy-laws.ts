import fc from 'fast-check';
import { type Law, law, require } from '../law.js';
import { show } from '../numerics/closeness.js';
import { energyExamples, MomentumRun, STEPS } from './momentum-run.js';
import type { ProjectorSubject } from './subject.js';

const lifted = ({ traits }: ProjectorSubject): string | null =>
  traits.orthonormal ? null : 'lifted by the trait orthonormal: false';

/**
 * Laws of momentum in a moving subspace: with m ← βm̃ + (1-β)P g and x ← x - α(Pᵀm + (I - PᵀP)g), where m̃ is the momentum
 * of the step before or, at a refresh, any vector not longer than it, the energy E = f(x) + c‖m‖², c = αβ/(2(1-β)), never
 * increases for α ≤ 2/L, whatever the sequence of orthonormal subspaces. They find a broken projector by its consequence.
 *
 * Proof: f(x⁺) ≤ f(x) - α‹P g, m› - α‖g_F‖² + (Lα²/2)(‖m‖² + ‖g_F‖²) with g_F = g - PᵀPg, since f is L-smooth and P is
 * orthonormal. P g = (m - βm̃)/(1-β) and 2‹m̃, m› = ‖m‖² + ‖m̃‖² - ‖m - m̃‖² give
 * ‹P g, m› = [(1 - β/2)‖m‖² - (β/2)‖m̃‖² + (β/2)‖m - m̃‖²]/(1-β). Adding c‖m‖² leaves -α(1 - αL/2)‖m‖² and c‖m̃‖², at most
 * the c‖m‖² of the step before. For the rate: P g = m + κ(m - m̃) with κ = β/(1-β), and Young's inequality. With a sign
 * outside, ‖g_F‖₁ and the count of its entries that are not 0 take the place of ‖g_F‖². With noise, all in expectation.
 *
 * @see Zmushko et al., FRUGAL, arXiv 2411.07837, Algorithm 2: the method that these bounds are about; Liu, Gao and Yin, An
 *   Improved Analysis of Stochastic Gradient Descent with Momentum, arXiv 2007.07989: the form of the momentum.
 */
export const ENERGY_LAWS: readonly Law<ProjectorSubject>[] = [
  law({
    name: 'energy never increases',
    formula: 'E⁺ ≤ E - α(1 - αL/2)(‖m‖² + ‖g - PᵀPg‖²) - c‖m - m̃‖² for SGDM inside and SGD outside, every α ≤ 2/L',
    why: 'It is what makes momentum in changing subspaces safe; a basis that is not orthonormal lets the loss grow.',
    needs: ['shapes as declared', 'down ∘ up = id', 'up is the adjoint of down'],
    effort: 0.6,
    lifted,
    example: energyExamples,
    check: async (subject: ProjectorSubject, example) => {
      await new MomentumRun(subject, example).run();
    },
  }),
  law({
    name: 'rate of SGDM',
    formula: 'mean ‖∇f‖² ≤ (f⁰ - f*)/(αK) · (1/(1 - αL/2) + 2β/(1-β))',
    why: 'Whatever the subspaces, all of the gradient must be worked off: nothing is lost between the two parts.',
    needs: ['shapes as declared', 'down ∘ up = id', 'up is the adjoint of down', 'energy never increases'],
    effort: 0.4,
    lifted,
    example: energyExamples,
    check: async (subject: ProjectorSubject, example) => {
      fc.pre(example.step < 2);
      const run = new MomentumRun(subject, example);
      const f0 = run.f.value(run.x);
      const mean = (await run.run()) / STEPS;
      const { step: s, momentum: b } = example;
      const bound = ((f0 - run.f.infimum) / (run.alpha * STEPS)) * (1 / (1 - s / 2) + (2 * b) / (1 - b));
      require(mean <= bound * (1 + 1e-4) + 1e-9, () =>
        `mean ‖∇f‖² over ${STEPS} steps is ${show(mean)}, at most ${show(bound)} expected`);
    },
  }),
  law({
    name: 'energy with a sign residual',
    formula:
      'E⁺ ≤ E - α(1 - αL/2)‖m‖² - α‖g_F‖₁ + (Lα²/2) nnz(g_F) - c‖m - m̃‖² for SGDM inside and sign outside, coordinates F',
    why: 'The hybrid of the paper descends only if the sign acts on the coordinates outside and on none inside.',
    needs: ['energy never increases', 'coordinates are kept or dropped'],
    effort: 0.4,
    lifted: subject =>
      lifted(subject) ?? (subject.traits.coordinate ? null : 'not true for a dense projector: the sign reaches back'),
    example: energyExamples,
    check: async (subject: ProjectorSubject, example) => {
      await new MomentumRun(subject, example, 'sign').run();
    },
  }),
  law({
    name: 'energy under noise',
    formula: 'E[E⁺] ≤ E - α(1 - αL/2)E(‖m‖² + ‖g_F‖²) - cE‖m - m̃‖² + α(1-β)σ_J² + (Lα²/2)σ_F²',
    why: 'Training gradients are noisy; the subspace must pass the variance on and not amplify it.',
    needs: ['energy never increases'],
    effort: 0.12,
    lifted: subject =>
      lifted(subject) ?? (subject.traits.basisFrom === 'gradient' ? 'the subspace depends on the noise' : null),
    example: energyExamples,
    check: async (subject: ProjectorSubject, example) => {
      const run = new MomentumRun(subject, example);
      await run.run(3);
      await run.requireDriftUnderNoise();
    },
  }),
];
