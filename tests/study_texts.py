"""Studies to change: together they have every section of a study."""

TOY = """\
x-shared: &shared {steps: 3, noise: 0.0}
task: toy
grid: {x: [0.1, 0.5, 0.9]}
repetitions: 2
fixed: {<<: *shared, y: 0.5}
search: {sampler: random, trials: 3, spaces: {all: {y: {low: 0.0, high: 1.0, grid: [0.1]}}}}
objectives: [{metric: validation/score, direction: maximize}]
stop: {first: 1, eta: 3}
resources: {default: {cpu: 1, gpu: 0, time_limit_seconds: 10}, when: [{x: 0.1, cpu: 2}]}
budget: {trials: 200, wall_hours: 2}
retry: {attempts: 2, reasons: [died]}
labels: {"0.1": low}
keep: nothing
select: last
"""
ALL = """\
study: example
task: holistic_transfer
grid:
  dataset: [mnist-uci]
  missing_ratio: [0.3, 0.5]
  method: [plain, l2sp]
repetitions: 6
fixed: {epochs: 5, learning_rate: 0.01}
search: {sampler: grid, trials: 4, spaces: {l2sp: {backbone: [0.1, 0.01, 1.0]}}}
select: seen_validation
baseline: plain
non_disruption: 0.02
blocks: [dataset]
metrics: [auroc]
share_trainings: true
ablate:
  full: {method: [lolsgd, wise_ft]}
  components: [lolsgd, wise_ft]
  controls: {lolsgd: local_sgd}
screen: {scores: [logme], keep: all}
"""
