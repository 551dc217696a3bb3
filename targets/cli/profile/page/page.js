// The page, from top to bottom.
'use strict';

const Card = (value, what) => Html('div', {class: 'card'}, value, Html('span', {}, what));

function Head() {
  const run = report.run, rate = n => n >= 100 ? n.toFixed(0) : n.toFixed(1);
  return [
    Html('h1', {}, run.name || run.model.split('/').pop()),
    Html('p', {}, [run.family, run.layers + ' layers', 'width ' + run.width, 'context ' + Count(run.context_tokens), 'cache ' + run.cache, run.threads + (run.threads === 1 ? ' thread' : ' threads'),
                   'kernels ' + run.kernels].join(' · ')),
    Html('div', {class: 'cards'},
      Card(Value('plan.anonymous_bytes', Bytes), 'anonymous, planned'),
      Card(Value('measured.arena_touched_bytes', Bytes), 'of the arena in memory'),
      Card(Value('measured.peak_anonymous_bytes', Bytes), 'anonymous at the peak, program included'),
      Card(Value('measured.model_resident_bytes', Bytes), 'of the model file in memory'),
      Card(Value('run.prefill_tokens_per_second', rate), 'tokens/s read'),
      Card(Value('run.decode_tokens_per_second', rate), 'tokens/s written'))];
}

function LayoutSection() {
  if (!report.layouts) return null;
  const types = Object.keys(report.layouts[0].rows), most = Math.max(...report.layouts.map(layout => layout.rows[types[0]].bytes));
  const rows = report.layouts.map((layout, i) => Html('tr', {class: layout.is_models ? 'mine' : null}, Cell(layout.layout),
      types.map(type => [NumberCell(Value('layouts.' + i + '.rows.' + type + '.bytes_per_token', Count, 'span')), MinorCell(Bytes(layout.rows[type].bytes))]),
      Html('td', {class: 'minor'}, Bar(layout.rows[types[0]].bytes / most, layout.is_models ? 'var(--accent)' : 'var(--cache)'))));
  return Section('layouts', 'The cache in other layouts',
      Html('p', {}, 'Bytes a token in all layers, and for the context of ', Value('plan.context_tokens', Count), ' tokens. The marked row is this model\'s.'),
      Table('layout-table', [{title: 'layout'}, ...types.flatMap(type => [{title: type + ', a token', number: true}, {title: 'context', minor: true}]), {title: types[0], minor: true, bar: true}], rows));
}

function DeviceSection() {
  const rows = report.devices.map((device, i) => {
    const limit = device.budget_anonymous_bytes ? 'budget_anonymous_bytes' : 'budget_total_bytes';
    const needed = At('plan.anonymous_bytes') + (device.budget_anonymous_bytes ? 0 : At('plan.file_backed_bytes'));
    return Html('tr', {}, Cell(device.device), NumberCell(Value('devices.' + i + '.' + limit, Bytes, 'span')), Html('td', {class: 'minor'}, device.budget_anonymous_bytes ? 'anonymous' : 'in all'),
        Cell(Bar(needed / device[limit], device.fits ? 'var(--good)' : device.fits_with ? 'var(--warn)' : 'var(--bad)')),
        Cell(Html('span', {class: device.fits ? 'tag' : device.fits_with ? 'tag with' : 'tag no'}, device.fits ? 'fits' : device.fits_with ? 'fits with' : 'does not fit'), ' ',
             device.fits ? '' : Html('code', {}, device.fits_with || Bytes(device.over_bytes) + ' too many, mostly ' + device.largest_line)));
  });
  return Section('devices', 'On other devices',
      Html('p', {}, 'Phones: what Google Play counts from 2027, anonymous memory, in the foreground and in the background. Boards: all but 192 MiB and a tenth, the model file included.'),
      Table('device-table', [{title: 'device'}, {title: 'allows', number: true}, {title: '', minor: true}, {title: 'used by the plan'}, {title: ''}], rows));
}

function Foot() {
  const machine = report.machine;
  return Html('footer', {}, 'thimble ' + report.version + ' on ' + machine.system + ', ' + machine.architecture + ', ' + machine.processors + ' processors. Samples of memory took ',
              Value('profiler.sampling_share', Percent, 'span'), ' of the time of the passes. ', report.measured.pages_from ? 'Pages from ' + report.measured.pages_from + '. ' : 'Pages are not told here. ',
              'Everything on this page is drawn from the report inside it: ', Html('code', {}, 'document.getElementById("report").textContent'), '.');
}

document.title = 'thimble profile: ' + (report.run.name || report.run.model);
document.querySelector('main').append(...[Head(), ArenaSection(), OverTimeSection(), OperationsSection(), ScratchSection(), LayoutSection(), DeviceSection(), Foot()].flat().filter(Boolean));
DrawPictures(true);
addEventListener('resize', () => DrawPictures(false));
document.documentElement.dataset.drawn = 'yes';
