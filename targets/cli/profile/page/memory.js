// Memory: the arena as a map to scale, its lines in a table, memory over time.
'use strict';

const kRegions = ['weights', 'cache', 'session', 'scratch', 'engine', 'profiler'];

function LineName(line) {
  return line.name + (line.index >= 0 ? ', layer ' + line.index : '') + (line.session >= 0 && At('plan.sessions') > 1 ? ', session ' + line.session : '');
}

// The arena in rows of equal length, each line where it lies. Light: planned; full: in memory.
function ArenaMap(told) {
  const total = At('plan.arena_bytes');
  return Picture(width => {
    const rows = width < 560 ? 16 : 10, height = 22, gap = 5, row = total / rows;
    const svg = Svg('svg', {height: rows * (height + gap), role: 'img', 'aria-label': 'the arena to scale', id: 'arena-map'});
    const defs = Svg('defs');
    svg.append(defs);
    report.lines.forEach((line, index) => {
      const group = Svg('g', {'data-line': index, 'data-bytes': line.bytes, 'data-touched': line.touched_bytes});
      // Phases of scratch lie above each other: each gets a part of the height.
      const phases = line.scratch ? Phases() : ['one'];
      const phase = line.scratch ? phases.indexOf(line.name.split('.')[0]) : 0;
      const part = height / phases.length;
      const piece = (begin, end, opacity) => {
        for (let r = Math.floor(begin / row); r < rows && r * row < end; ++r) {
          const from = Math.max(begin, r * row), to = Math.min(end, (r + 1) * row);
          const w = (to - from) / row * width;
          if (w < 0.02) continue;
          group.append(Svg('rect', {x: (from - r * row) / row * width, y: r * (height + gap) + phase * part, width: Math.max(w, 0.3), height: part,
                                    fill: Colour(line.region), 'fill-opacity': opacity}));
        }
      };
      piece(line.offset, line.offset + line.bytes, 0.22);
      piece(line.offset, line.offset + line.touched_bytes, 1);
      svg.append(told.tell(group, () => [
        Html('b', {}, LineName(line)), ' in ' + line.region + (line.scratch ? ', shared with other phases' : '') + ', at byte ' + Count(line.offset), Html('br'),
        'planned ', Html('b', {}, Count(line.bytes)), ', touched ', Html('b', {}, Count(line.touched_bytes)), ', dirty ', Html('b', {}, Count(line.dirty_bytes)),
        ', resident ', Html('b', {}, Count(line.resident_bytes))]));
    });
    return svg;
  });
}

function Phases() {
  if (!Phases.names) Phases.names = [...new Set(report.lines.filter(line => line.scratch).map(line => line.name.split('.')[0]))];
  return Phases.names;
}

function LineTable() {
  const groups = new Map();
  for (const line of report.lines) {
    const group = groups.get(line.name) || {name: line.name, region: line.region, count: 0, bytes: 0, touched: 0, dirty: 0, resident: 0};
    ++group.count;
    group.bytes += line.bytes;
    group.touched += line.touched_bytes;
    group.dirty += line.dirty_bytes;
    group.resident += line.resident_bytes;
    groups.set(line.name, group);
  }
  const rows = [...groups.values()].sort((a, b) => b.bytes - a.bytes).map(group => Html('tr', {},
      Cell(Html('code', {}, group.name), group.count > 1 ? ' × ' + group.count : ''), Cell(Bar(group.touched / group.bytes, Colour(group.region))),
      NumberCell(Count(group.bytes)), NumberCell(Count(group.touched)), NumberCell(Count(group.dirty)), NumberCell(Count(group.resident))));
  return Html('details', {}, Html('summary', {}, 'All ' + report.lines.length + ' lines by name'),
              Table('lines', [{title: 'line'}, {title: 'in memory'}, {title: 'planned', number: true}, {title: 'touched', number: true},
                              {title: 'dirty', number: true}, {title: 'resident', number: true}], rows));
}

function ArenaSection() {
  const told = Told('Point at a piece of the arena, or tap it.');
  const entries = report.regions.map((region, i) => ({region, i})).filter(({region}) => region.bytes > 0)
      .sort((a, b) => kRegions.indexOf(a.region.name) - kRegions.indexOf(b.region.name));
  return Section('arena', 'The arena, to scale',
      Html('p', {}, Value('plan.arena_bytes', Bytes), ' planned in one block, ', Value('measured.arena_touched_bytes', Bytes),
           ' of it in memory after ', Value('run.tokens', Count), ' tokens. Light: planned, and no page taken yet. It reads like a text, row by row.'),
      ArenaMap(told), told.place,
      Key(entries.map(({region, i}) => [Colour(region.name), region.name + ' ', Value('regions.' + i + '.touched_bytes', Bytes), ' of ',
                                       Value('regions.' + i + '.bytes', Bytes)])),
      LineTable());
}

// Anonymous and file-backed bytes of the process over time, with what was planned and what devices allow.
function TimeChart(told, state) {
  const samples = report.samples;
  return Picture(width => {
    const height = width < 560 ? 230 : 280, left = 62, top = 22, bottom = 24, right = 8;
    const inner = width - left - right, rows = height - top - bottom;
    const end = Math.max(...samples.ns, 1);
    const device = report.devices[state.device], anonymous = At('plan.anonymous_bytes'), both = anonymous + At('plan.file_backed_bytes');
    const limit = device ? device.budget_anonymous_bytes || device.budget_total_bytes : 0;
    const plans = [['planned, anonymous', anonymous], ['planned, with the model file', both]];
    const peak = Math.max(both, ...samples.resident_bytes);
    const most = (limit && limit < 2.6 * peak ? Math.max(limit, peak) : peak) * 1.08;
    const x = ns => left + ns / end * inner, y = bytes => top + rows - bytes / most * rows;
    const svg = Svg('svg', {height, role: 'img', 'aria-label': 'memory over time', id: 'over-time'});
    const marks = report.moments.map(moment => moment.ns);
    const names = ['load', 'prefill', 'decode'];
    marks.slice(0, -1).forEach((from, i) => {
      const w = x(marks[i + 1]) - x(from);
      svg.append(Svg('rect', {x: x(from), y: top, width: Math.max(w, 0), height: rows, fill: i % 2 ? 'var(--faint)' : 'none'}),
                 Svg('line', {x1: x(from), x2: x(from), y1: top - 4, y2: top + rows, stroke: 'var(--line)'}),
                 w > 34 ? Svg('text', {x: x(from) + 4, y: top - 7, 'data-phase': names[i]}, names[i]) : '');
    });
    for (const tick of Ticks(most, 5, 1024)) {
      svg.append(Svg('line', {x1: left, x2: width - right, y1: y(tick), y2: y(tick), stroke: 'var(--line)', 'stroke-dasharray': tick ? '2 4' : null}),
                 Svg('text', {x: left - 8, y: y(tick) + 4, 'text-anchor': 'end'}, tick ? Bytes(tick).replace(/\.0+ /, ' ') : '0'));
    }
    for (const tick of Ticks(end, width < 560 ? 4 : 8, 1)) {
      svg.append(Svg('text', {x: x(tick), y: height - 6, 'text-anchor': x(tick) > width - 24 ? 'end' : 'middle'}, tick ? Time(tick).replace(/\.0+ /, ' ') : '0'));
    }
    const area = (lower, upper, colour, opacity) => {
      const there = samples.ns.map((ns, i) => [x(ns), y(upper[i])]), back = samples.ns.map((ns, i) => [x(ns), y(lower[i])]).reverse();
      svg.append(Svg('polygon', {points: [...there, ...back].map(p => p[0].toFixed(1) + ',' + p[1].toFixed(1)).join(' '), fill: colour, 'fill-opacity': opacity}));
    };
    // From the bottom: the program itself, the arena by region, the model's pages.
    const anonymous_all = samples.anonymous_bytes.map((bytes, i) => bytes + samples.swapped_bytes[i]);
    let lower = samples.ns.map(() => 0);
    for (const region of kRegions) {
      const column = samples[region + '_touched_bytes'], upper = lower.map((bytes, i) => bytes + column[i]);
      area(lower, upper, Colour(region), 0.85);
      lower = upper;
    }
    area(lower, lower.map((bytes, i) => Math.max(bytes, anonymous_all[i])), Colour('engine'), 0.35);
    lower = lower.map((bytes, i) => Math.max(bytes, anonymous_all[i]));
    area(lower, lower.map((bytes, i) => bytes + samples.file_backed_bytes[i]), Colour('file'), 0.6);
    const labels = [];
    const rule = (name, bytes, colour, dash) => {
      const inside = bytes <= most, at = y(bytes);
      if (!inside) return;
      // Above its line, or lower where another one's text is.
      let label = at - 4;
      while (labels.some(other => Math.abs(other - label) < 13)) label += 13;
      labels.push(label);
      svg.append(Svg('line', {x1: left, x2: width - right, y1: at, y2: at, stroke: colour, 'stroke-width': 1.5, 'stroke-dasharray': dash}));
      svg.append(Svg('text', {x: width - right - 4, y: label, 'text-anchor': 'end', class: 'dark'}, name + ' ' + Bytes(bytes)));
    };
    plans.forEach(([name, bytes]) => rule(name, bytes, 'var(--ink)', '6 4'));
    if (limit) rule('the device allows', limit, 'var(--bad)', null);
    const cursor = Svg('line', {y1: top, y2: top + rows, stroke: 'var(--ink)', visibility: 'hidden'});
    const hear = event => {
      const at = (event.clientX - svg.getBoundingClientRect().left - left) / inner * end;
      let i = 0;
      while (i + 1 < samples.ns.length && samples.ns[i + 1] <= at) ++i;
      cursor.setAttribute('visibility', 'visible');
      cursor.setAttribute('x1', x(samples.ns[i]));
      cursor.setAttribute('x2', x(samples.ns[i]));
      told.place.replaceChildren(Html('b', {}, Time(samples.ns[i]) + ', ' + samples.phase[i] + ', ' + samples.tokens[i] + ' tokens'), Html('br'),
          'anonymous ', Html('b', {}, Bytes(anonymous_all[i])), ' (arena ', Html('b', {}, Bytes(samples.arena_touched_bytes[i])), '), file-backed ',
          Html('b', {}, Bytes(samples.file_backed_bytes[i])), ', faults ', Html('b', {}, Count(samples.minor_faults[i])), ' minor, ',
          Html('b', {}, Count(samples.major_faults[i])), ' major', Sensor(i));
    };
    svg.append(cursor, Svg('rect', {x: left, y: top, width: inner, height: rows, fill: 'transparent', onpointermove: hear, onclick: hear}));
    return svg;
  });
}

function Sensor(i) {
  const samples = report.samples;
  return [samples.temperature_c[i] === null ? '' : ', ' + samples.temperature_c[i].toFixed(1) + ' °C',
          samples.frequency_khz[i] === null ? '' : ', ' + (samples.frequency_khz[i] / 1e6).toFixed(2) + ' GHz',
          samples.throttled[i] ? ', throttled' : '',
          samples.thermal_status && samples.thermal_status[i] !== null ? ', thermal status ' + samples.thermal_status[i] : '',
          report.stages.filter(stage => stage.sample === i).map(stage => ', ' + stage.name + (stage.total ? ' ' + stage.done + ' of ' + stage.total : ''))];
}

function OverTimeSection() {
  const told = Told('Point at a moment, or tap it.');
  const state = {device: 0};
  const choice = Html('select', {'aria-label': 'limit of a device', onchange: event => {
    state.device = Number(event.target.value);
    show();
    DrawPictures(true);
  }}, report.devices.map((device, i) => Html('option', {value: i}, device.device)));
  const allowed = Html('p', {style: 'margin-top:8px'}), show = () => {
    const device = report.devices[state.device], anonymous = device.budget_anonymous_bytes !== 0;
    const limit = anonymous ? device.budget_anonymous_bytes : device.budget_total_bytes;
    const planned = At('plan.anonymous_bytes') + (anonymous ? 0 : At('plan.file_backed_bytes'));
    allowed.replaceChildren(device.device + ' allows ', Html('b', {}, Bytes(limit)), anonymous ? ' of anonymous memory; the plan takes ' : ' in all; the plan takes ',
                            Html('b', {}, Percent(planned / limit)), ' of that.');
  };
  show();
  return Section('time', 'Memory over time',
      Html('div', {class: 'row'}, Html('p', {}, 'Peak ', Value('measured.peak_anonymous_bytes', Bytes), ' anonymous, which Android and Google Play count, and ',
                                       Value('measured.peak_file_backed_bytes', Bytes), ' file-backed, which they do not.'), choice),
      TimeChart(told, state), allowed, told.place,
      Key([...kRegions.filter(name => report.regions.some(region => region.name === name && region.bytes > 0)).map(name => [Colour(name), name]),
           ['color-mix(in srgb, var(--engine) 40%, transparent)', 'the program itself'], [Colour('file'), 'pages of files']]));
}
