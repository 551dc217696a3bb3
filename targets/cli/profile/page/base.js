// What all parts of the page use. Every number that is shown comes from the report in the page, through Value(): tests read the paths.
'use strict';
const report = JSON.parse(document.getElementById('report').textContent);

const At = path => path.split('.').reduce((value, key) => value === null || value === undefined ? undefined : value[key], report);

function Bytes(n) {
  if (n < 1024) return n + ' B';
  if (n < 1048576) return (n / 1024).toFixed(1) + ' KiB';
  if (n < 1073741824) return (n / 1048576).toFixed(2) + ' MiB';
  return (n / 1073741824).toFixed(2) + ' GiB';
}
const Count = n => n.toString().replace(/\B(?=(\d{3})+$)/g, ',');
const Percent = share => (100 * share).toFixed(1) + ' %';
function Time(ns) {
  if (ns < 1e3) return ns.toFixed(0) + ' ns';
  if (ns < 1e6) return (ns / 1e3).toFixed(1) + ' µs';
  if (ns < 1e9) return (ns / 1e6).toFixed(2) + ' ms';
  return (ns / 1e9).toFixed(2) + ' s';
}
const Sum = list => list.reduce((a, b) => a + b, 0);

// Children are elements, texts, or lists of them. Texts are never read as HTML.
function Element(space, name, attributes, children) {
  const element = space ? document.createElementNS(space, name) : document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith('on')) element.addEventListener(key.slice(2), value);
    else if (value !== undefined && value !== null) element.setAttribute(key, value);
  }
  element.append(...children.flat(4).filter(child => child !== null && child !== undefined));
  return element;
}
const Html = (name, attributes = {}, ...children) => Element(null, name, attributes, children);
const Svg = (name, attributes = {}, ...children) => Element('http://www.w3.org/2000/svg', name, attributes, children);

// The number at a path of the report, as `format` writes it.
function Value(path, format, tag = 'b') {
  const number = At(path);
  return Html(tag, {'data-path': path, 'data-number': number}, number === undefined || number === null ? 'not told' : format(number));
}

const Colour = name => 'var(--' + name + ')';
const Key = entries => Html('ul', {class: 'key'}, entries.map(([colour, ...what]) =>
    Html('li', {}, Html('i', {style: 'background:' + colour}), what)));
const Section = (id, title, ...children) => Html('section', {id}, Html('h2', {}, title), children);
function Bar(share, colour) {
  return Html('div', {class: 'bar'}, Html('i', {style: 'width:' + (100 * Math.min(1, Math.max(0, share))).toFixed(2) + '%;background:' + colour}));
}
function Table(id, head, rows) {
  return Html('div', {class: 'wide'}, Html('table', {id},
      Html('thead', {}, Html('tr', {}, head.map(cell => Html('th', {class: cell.minor && (cell.bar || cell.title === '') ? 'minor' : cell.minor ? 'n minor' : cell.number ? 'n' : null}, cell.title)))),
      Html('tbody', {}, rows)));
}
const Cell = (...children) => Html('td', {}, children);
const NumberCell = (...children) => Html('td', {class: 'n'}, children);
// Not on a phone.
const MinorCell = (...children) => Html('td', {class: 'n minor'}, children);

// Buttons of which one is pressed; the page keeps no state but this.
function Switch(names, chosen, choose) {
  const buttons = names.map(name => Html('button', {type: 'button', 'aria-pressed': name === chosen, onclick: () => {
    for (const button of buttons) button.setAttribute('aria-pressed', button.textContent === name);
    choose(name);
  }}, name));
  return Html('span', {class: 'switch'}, buttons);
}

// A place below a picture that tells what is under the pointer, the finger or the focus.
function Told(text) {
  const place = Html('div', {class: 'told', 'aria-live': 'polite'}, text);
  let now = null;
  return {place, tell(element, make) {
    const show = () => {
      if (now) now.classList.remove('now');
      now = element;
      element.classList.add('now');
      place.replaceChildren(...[make()].flat(4));
    };
    for (const event of ['pointerenter', 'click', 'focus']) element.addEventListener(event, show);
    element.setAttribute('tabindex', '-1');
    element.classList.add('hit');
    return element;
  }};
}

// Pictures are drawn for the width that there is, and again when it changes.
const pictures = [];
function Picture(draw) {
  const place = Html('div', {class: 'picture'});
  pictures.push({place, draw, width: 0});
  return place;
}
function DrawPictures(again) {
  for (const picture of pictures) {
    const width = picture.place.clientWidth;
    if (width === 0 || (width === picture.width && !again)) continue;
    picture.width = width;
    picture.place.replaceChildren(...[picture.draw(width)].flat());
  }
}

// Round numbers from 0 to at most `most`.
function Ticks(most, count, base) {
  let step = base;
  const factors = base === 1024 ? [2] : [2, 2.5, 2];
  for (let i = 0; most / step > count; ++i) step *= factors[i % factors.length];
  const ticks = [];
  for (let at = 0; at <= most; at += step) ticks.push(at);
  return ticks;
}
