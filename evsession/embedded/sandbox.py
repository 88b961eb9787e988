"""The JavaScript around a script: what it may call, how its document comes in and goes out. A text for `scripts`.

Values cross as JSON. Numbers that JavaScript would print otherwise (beyond 2**53, or ``1.0``) are remembered with their digits,
by the object that holds them, and leave with the same digits if they were left alone, wherever that object was put.
"""

from __future__ import annotations

__all__ = ["SANDBOX"]

SANDBOX = r"""
(function () {
'use strict';
const {parse, stringify, rawJSON} = JSON, compile = Function, evaluate = eval;
const written = new WeakMap(), ids = new WeakMap(), facts = new WeakSet();
const OWNED = new Set(['@change-vector', '@last-modified']);  // of documents; within others they go without
const FIRST_LINE = 2;  // as many lines stand before the body of a function

class Misuse extends Error {}
class Unparsable extends Error {}
class Wanted extends Error {}

function remember(name, value, context) {
  if (typeof value === 'number' && String(value) !== context.source) {
    if (!written.has(this)) written.set(this, new Map());
    written.get(this).set(name, [value, context.source]);
  }
  return value;
}

function leaf(value, holder, name) {
  switch (typeof value) {
    case 'boolean': return value;
    case 'string': return value.toWellFormed();
    case 'number': {
      const [old, digits] = written.get(holder)?.get(name) ?? [];
      if (old === value) return rawJSON(digits);
      if (!Number.isFinite(value)) return String(value);
      const isLong = Math.abs(value) > Number.MAX_SAFE_INTEGER && Math.abs(value) < 2 ** 63;
      return isLong ? rawJSON(BigInt(value).toString()) : value;
    }
    case 'bigint': throw new Misuse('Unknown type: BigInt');
    case 'symbol': throw new Misuse('Unknown type: Symbol');
    case 'object': break;
    default: return null;
  }
  if (!(value instanceof Date)) return value;
  return Number.isNaN(value.getTime()) ? null : value.toISOString().replace('Z', '0000Z');
}

function isBare(name, value) {
  return name === '@metadata' && facts.has(value) && Object.keys(value).every(name => OWNED.has(name));
}

// A loop, for a call takes 2 KiB of the stack, and documents may be deep.
function plain(root, holder = null, name = '') {
  const around = new Set(), open = [];
  function take(value, holder, name) {
    const taken = leaf(value, holder, name);
    if (typeof taken !== 'object' || taken !== value || value === null) return taken;
    if (around.has(value)) return null;
    around.add(value);
    const isList = Array.isArray(value), copy = isList ? [] : {};
    const isWithin = open.length > 0 && name === '@metadata' && facts.has(value);
    const names = isList ? [] : Object.keys(value).filter(name => isWithin ? !OWNED.has(name) : !isBare(name, value[name]));
    open.push({value, copy, names: isList ? value.keys() : names.values()});
    return copy;
  }
  const result = take(root, holder, name);
  while (open.length) {
    const {value, copy, names} = open[open.length - 1], next = names.next(), name = String(next.value);
    if (next.done) {
      open.pop();
      around.delete(value);
    } else if (!Array.isArray(value)) {
      copy[name.toWellFormed()] = take(value[name], value, name);
    } else if (name in value) {  // RavenDB closes the gaps
      copy.push(take(value[name], value, name));
    }
  }
  return result;
}

function show(value) {
  try {
    return typeof value === 'object' && value !== null ? stringify(plain(value)) : String(value);
  } catch (reason) {
    return Object.prototype.toString.call(value);
  }
}

function classify(thrown) {
  if (thrown instanceof Misuse) return {error: 'misuse', text: thrown.message};
  if (thrown instanceof Unparsable) return {error: 'syntax', text: thrown.message};
  if (thrown instanceof InternalError) return {error: 'memory', text: ''};
  if (thrown instanceof RangeError && /call stack/.test(thrown.message)) return {error: 'recursion', text: ''};
  return {error: 'runtime', text: thrown instanceof Error ? `${thrown.name}: ${thrown.message}` : show(thrown)};
}

function parsed(read) {
  try {
    return read();
  } catch (reason) {
    if (!(reason instanceof SyntaxError)) throw reason;
    const [, line] = /:(\d+):\d+/.exec(reason.stack) ?? [];
    throw new Unparsable(reason.message + (line > FIRST_LINE ? ` in line ${line - FIRST_LINE}` : ''));
  }
}

function metadata(document) { return document?.['@metadata']; }

function known(document) {
  const about = metadata(document);
  if (typeof about === 'object' && about !== null) {
    facts.add(about);
    Object.setPrototypeOf(document, null);  // its fields are its own: no constructor, no toString (seen on 7.1)
  }
  return document;
}

return function run(text, isUnusual) {
  delete Object.prototype.__proto__;
  delete globalThis.performance;
  const task = isUnusual ? parse(text, remember) : parse(text);
  const output = [];
  let done = 0, wanted = null;

  function ask(...call) {
    const said = stringify(call);
    if (wanted === null && done < task.calls.length) {
      if (task.calls[done] !== said) throw new Misuse('The script does not do the same twice.');
      return task.answers[done++];
    }
    wanted ??= {call, said};
    throw new Wanted('waiting for the storage');
  }

  const now = task.now, RealDate = Date;
  globalThis.Date = new Proxy(RealDate, {
    construct: (target, given, cls) => Reflect.construct(target, given.length ? given : [now], cls),
    apply: () => new RealDate(now).toString(),
    get: (target, name) => name === 'now' ? () => now : target[name],
  });
  let seed = task.seed;
  Math.random = () => {
    seed = seed + 0x6d2b79f5 | 0;
    let mixed = Math.imul(seed ^ seed >>> 15, seed | 1);
    mixed ^= mixed + Math.imul(mixed ^ mixed >>> 7, mixed | 61);
    return ((mixed ^ mixed >>> 14) >>> 0) / 4294967296;
  };

  function refuse() { throw new Error("String compilation has been disabled in engine options."); }
  for (const kind of [function () {}, function* () {}, async function () {}, async function* () {}])
    Object.defineProperty(Object.getPrototypeOf(kind), 'constructor', {value: refuse});
  globalThis.eval = globalThis.Function = refuse;

  function tell(first) { output.push(show(first)); }
  function check(isRight, complaint) { if (!isRight) throw new Misuse(complaint); }
  Object.assign(globalThis, {
    output: tell,
    console: {log: tell},
    getMetadata: metadata,
    id(...given) {
      check(given.length === 1, 'id(doc) must be called with a single argument');
      check(typeof given[0] === 'object', 'id(doc) must be called with an object argument');
      return ids.get(given[0]) ?? metadata(given[0])?.['@id'] ?? null;
    },
    lastModified(document) {
      const time = new RealDate(metadata(document)?.['@last-modified']).getTime();
      return Number.isNaN(time) ? undefined : time;
    },
    load(...given) {
      check(given.length === 1, 'load(id | ids) must be called with a single string argument');
      const [wish] = given, isList = Array.isArray(wish);
      if (wish === null || wish === undefined) return null;
      check(isList || typeof wish === 'string', 'load(id | ids) must be called with a single string or array argument');
      const keys = isList ? wish : [wish];
      check(keys.every(key => typeof key === 'string'), 'load(ids) must be called with a array of strings');
      const found = ask('load', keys).map(known);
      return isList ? found : found[0] ?? undefined;
    },
    put(key, document, version) {
      check(document !== undefined, 'put(id, doc, changeVector) must be called with called with 2 or 3 arguments only');
      check(key === null || typeof key === 'string', 'The first parameter to put(id, doc, changeVector) must be a string');
      check(typeof document === 'object' && document !== null,
        `Created document must be a valid object which is not null or empty. Document ID: '${key}'.`);
      const copy = plain(Array.isArray(document) ? {} : document);
      return ask('put', key ?? '', copy, ...version === undefined || version === null ? [] : [String(version)]);
    },
    del(key, version) {
      check(typeof key === 'string', 'delete(id, changeVector) id argument must be a string');
      return ask('del', key, ...version === undefined || version === null ? [] : [String(version)]);
    },
  });

  function body() {
    return parsed(() => compile('args', `'use strict';${task.script}`));
  }

  function patch() {
    const {args, document} = task;
    for (const name of Object.keys(args)) globalThis['$' + name] = args[name];
    OWNED.add('@id');
    ids.set(known(document), task.key);
    const before = new Set(Object.keys(document));
    body().call(document, args);
    // What was there and is undefined, is null; what is new and undefined, is not there (seen on 7.1).
    const left = Object.keys(document).filter(name => document[name] !== undefined || before.has(name));
    return Object.fromEntries(left.map(name => [name.toWellFormed(), plain(document[name], document, name)]));
  }

  function project() {
    delete globalThis.put;
    delete globalThis.del;
    Object.assign(globalThis, task.args);
    Object.values(task.args).flat().forEach(known);
    parsed(() => compile(task.script));
    return plain(evaluate(task.script));
  }

  let answer;
  try {
    answer = stringify({value: {check: () => body() && null, patch, project}[task.form](), output});
  } catch (thrown) {
    answer = stringify(classify(thrown));
  }
  return wanted === null ? answer : stringify(wanted);
};
})()
"""
