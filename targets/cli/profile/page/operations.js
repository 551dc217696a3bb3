// Time: the layers as a flame, operations in a table, one step and its scratch.
'use strict';

const kWorks = ['embed', 'norm', 'projections', 'attention', 'activation', 'output', 'join', 'head', 'sample'];

function PhaseSum(phase) {
  const steps = report.steps, sum = {passes: 0, tokens: 0, ns: 0, cpu_ns: 0};
  steps.phase.forEach((name, i) => {
    if (name !== phase) return;
    sum.passes += steps.passes[i];
    sum.tokens += steps.tokens[i];
    sum.ns += steps.ns[i];
    sum.cpu_ns += steps.cpu_ns[i];
  });
  return sum;
}
const OperationsOf = phase => report.operations.filter(operation => operation.phase === phase);

// The whole phase, its layers, their blocks, their operations: each as wide as it took long.
function Flame(told, state) {
  return Picture(width => {
    const operations = OperationsOf(state.phase), whole = PhaseSum(state.phase), height = 30, gap = 2;
    const svg = Svg('svg', {height: 4 * (height + gap), role: 'img', 'aria-label': 'time of layers, blocks and operations', id: 'flame', 'data-phase': state.phase});
    const scale = width / Math.max(whole.ns, Sum(operations.map(operation => operation.ns)), 1);
    const box = (level, from, ns, colour, name, more) => {
      const w = ns * scale;
      const group = Svg('g', {'data-level': level, 'data-ns': ns}, Svg('rect', {x: from * scale, y: level * (height + gap), width: Math.max(w - 0.6, 0.4), height, rx: w > 6 ? 3 : 0, fill: colour}),
                        w > 7 * name.length + 8 ? Svg('text', {class: 'label', x: from * scale + w / 2, y: level * (height + gap) + 19, 'text-anchor': 'middle'}, name) : '');
      svg.append(told.tell(group, () => [Html('b', {}, more.name), Html('br'), Html('b', {}, Time(ns / Math.max(whole.tokens, 1))), ' a token, ',
                                         Html('b', {}, Percent(ns / whole.ns)), ' of ' + state.phase,
                                         more.bytes ? [', ', Html('b', {}, (more.bytes / ns).toFixed(2) + ' GB/s')] : '', more.calls ? ', ' + Count(more.calls) + ' calls' : '',
                                         more.shared_tasks ? ', ' + Percent(more.others_tasks / more.shared_tasks) + ' of the work by other threads' : '']));
    };
    const told_ns = Sum(operations.map(operation => operation.ns));
    box(0, 0, Math.max(whole.ns, told_ns), 'var(--engine)', state.phase, {name: state.phase});
    let at = 0, layer_from = 0, block_from = 0;
    operations.forEach((operation, i) => {
      const next = operations[i + 1], where = operation.layer < 0 ? '' : 'layer ' + operation.layer;
      box(3, at, operation.ns, Colour(operation.operation), operation.operation,
          {...operation, name: [where, operation.mixer, operation.operation].filter(Boolean).join(', ')});
      at += operation.ns;
      if (!next || next.block !== operation.block || operation.block < 0) {
        box(2, block_from, at - block_from, operation.mixer ? Colour(operation.mixer === 'attention' ? 'attention' : 'projections') : Colour(operation.operation),
            operation.mixer.replace('_', ' ') || operation.operation, {name: [where, operation.mixer || operation.operation].filter(Boolean).join(', ')});
        block_from = at;
      }
      if (!next || next.layer !== operation.layer || operation.layer < 0) {
        box(1, layer_from, at - layer_from, operation.layer < 0 ? Colour(operation.operation) : operation.layer % 2 ? 'var(--dim)' : 'var(--engine)',
            operation.layer < 0 ? operation.operation : String(operation.layer), {name: where || operation.operation});
        layer_from = at;
      }
    });
    if (whole.ns > told_ns) box(1, told_ns, whole.ns - told_ns, 'var(--rest)', '', {name: 'between operations'});
    return svg;
  });
}

function OperationTable(phase) {
  const whole = PhaseSum(phase), sums = new Map();
  for (const operation of OperationsOf(phase)) {
    const name = operation.mixer && operation.mixer !== operation.operation ? operation.mixer.replace('_', ' ') + ': ' + operation.operation : operation.operation;
    const sum = sums.get(name) || {name, work: operation.operation, ns: 0, bytes: 0, calls: 0, shared: 0, others: 0};
    sum.ns += operation.ns;
    sum.bytes += operation.bytes;
    sum.calls += operation.calls;
    sum.shared += operation.shared_tasks;
    sum.others += operation.others_tasks;
    sums.set(name, sum);
  }
  const rows = [...sums.values()].sort((a, b) => b.ns - a.ns).map(sum => Html('tr', {'data-operation': sum.name, 'data-ns': sum.ns},
      Cell(sum.name), Cell(Bar(sum.ns / whole.ns, Colour(sum.work))), NumberCell(Percent(sum.ns / whole.ns)), NumberCell(Time(sum.ns / Math.max(whole.tokens, 1))),
      NumberCell(sum.bytes ? (sum.bytes / sum.ns).toFixed(2) : ''), MinorCell(sum.bytes ? Bytes(sum.bytes / Math.max(whole.passes, 1)) : ''), MinorCell(Count(sum.calls)),
      MinorCell(sum.shared ? Percent(sum.others / sum.shared) : '')));
  return Table('operations', [{title: 'operation'}, {title: 'share'}, {title: '', number: true}, {title: 'a token', number: true}, {title: 'GB/s', number: true},
                              {title: 'read in a pass', minor: true}, {title: 'calls', minor: true}, {title: 'by other threads', minor: true}], rows);
}

function OperationsSection() {
  const phases = ['decode', 'prefill'].filter(phase => PhaseSum(phase).passes > 0);
  const state = {phase: phases[0]};
  const told = Told('Point at a layer, a block or an operation, or tap it.');
  const table = Html('div', {}, OperationTable(state.phase)), headline = Html('p', {});
  const show = () => {
    const sum = PhaseSum(state.phase);
    table.replaceChildren(OperationTable(state.phase));
    headline.replaceChildren(...[Html('b', {}, Count(sum.tokens)), ' tokens in ', Html('b', {}, Count(sum.passes)), ' passes, ', Html('b', {}, Time(sum.ns / sum.tokens)),
                             ' a token, ', Html('b', {}, (sum.cpu_ns / sum.ns).toFixed(2)), ' processors busy.',
                             report.threads.length > 1 ? [' Of the whole run: ', report.threads.map((thread, i) => [i ? ', ' : '', 'thread ' + i + ' ', Value('threads.' + i + '.cpu_ns', Time)]), '.'] : ''].flat(4));
  };
  show();
  return Section('operations-section', 'Time by layer and operation',
      Html('div', {class: 'row'}, headline, Switch(phases, state.phase, phase => {
        state.phase = phase;
        show();
        DrawPictures(true);
      })), Flame(told, state), told.place, table);
}

// When in one step which scratch is in use: why so little of it is needed.
function ScratchSection() {
  const step = report.step;
  if (!step || step.scratch.length === 0) return null;
  const told = Told('Point at a buffer while it is in use, or tap it.');
  const picture = Picture(width => {
    const left = width < 560 ? 104 : 150, inner = width - left, height = 15, gap = 4, top = 26;
    const svg = Svg('svg', {height: top + step.scratch.length * (height + gap) + 18, role: 'img', 'aria-label': 'scratch over one step', id: 'scratch-over-step'});
    const x = ns => left + ns / step.ns * inner, operations = step.operations;
    svg.append(Svg('text', {x: 0, y: 14}, 'operations'));
    operations.start_ns.forEach((from, i) => {
      svg.append(told.tell(Svg('rect', {x: x(from), y: 2, width: Math.max(operations.ns[i] / step.ns * inner, 0.3), height: 16, fill: Colour(operations.operation[i])}),
                           () => [Html('b', {}, [operations.layer[i] < 0 ? '' : 'layer ' + operations.layer[i], operations.mixer[i], operations.operation[i]].filter(Boolean).join(', ')),
                                  Html('br'), Time(operations.ns[i]) + ' from ' + Time(from) + ' on', operations.bytes[i] ? ', ' + (operations.bytes[i] / operations.ns[i]).toFixed(2) + ' GB/s' : '']));
    });
    step.scratch.forEach((line, row) => {
      const y = top + row * (height + gap);
      svg.append(Svg('text', {x: 0, y: y + 12}, line.name), Svg('rect', {x: left, y, width: inner, height, fill: 'var(--faint)'}));
      for (const [from, to] of line.used_ns) {
        svg.append(told.tell(Svg('rect', {x: x(from), y, width: Math.max((to - from) / step.ns * inner, 0.4), height, fill: Colour('scratch')}), () => [
          Html('b', {}, line.name), ', ' + Count(line.bytes) + ' bytes at byte ' + Count(line.offset) + ' of the arena', Html('br'), 'in use from ' + Time(from) + ' to ' + Time(to)]));
      }
    });
    svg.append(Svg('text', {x: left, y: top + step.scratch.length * (height + gap) + 12}, '0'),
               Svg('text', {x: width, y: top + step.scratch.length * (height + gap) + 12, 'text-anchor': 'end'}, Time(step.ns)));
    return svg;
  });
  const all = Sum(step.scratch.map(line => line.bytes)), shared = report.regions.findIndex(region => region.name === 'scratch');
  return Section('scratch', 'Scratch over one step',
      Html('p', {}, Html('b', {}, Bytes(all)), ' of buffers share ', Value('regions.' + shared + '.bytes', Bytes), ', because they are never in use at the same time. The last ' +
           step.phase + ' pass, ' + Time(step.ns) + '. Buffers without a mark are used while loading, or for text.'),
      picture, told.place, Key(kWorks.filter(work => step.operations.operation.includes(work)).map(work => [Colour(work), work])));
}
