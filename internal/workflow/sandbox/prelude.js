// Runs once, before the image of the interpreter is taken, and returns what
// the sandbox calls. It keeps what it needs of the language for itself: scripts
// may change theirs.
(function () {
  const { stringify } = JSON
  const { Error, Function, Promise, RegExp, String, TypeError } = globalThis
  const exec = Function.prototype.call.bind(RegExp.prototype.exec)
  const slice = Function.prototype.call.bind(String.prototype.slice)

  const foreign = [
    'std', 'os', 'bjson', 'setTimeout', 'setInterval', 'clearTimeout', 'clearInterval', 'performance',
    'gc', 'navigator', 'scriptArgs', 'print', 'QJS_PROXY_VALUE',
  ]
  for (const name of foreign) delete globalThis[name]

  // What is logged goes nowhere: a script runs where nobody watches it.
  const ignore = function () {}
  globalThis.console = { log: ignore, error: ignore, warn: ignore, info: ignore, debug: ignore }

  // Refuses what JSON.stringify drops without a word.
  const strict = (key, value) => {
    const type = typeof value
    if (type !== 'function' && type !== 'symbol' && type !== 'bigint') return value
    const what = type === 'bigint' ? 'a BigInt' : 'a ' + type
    throw new TypeError('the script returns ' + what + (key === '' ? '' : ', as ' + slice(key, 0, 100)) + ', which is not JSON')
  }

  // The interpreter knows the places of calls and throws, and for other
  // mistakes that of what came before.
  const imprecise = /^cannot (read|set) prop|is not defined$|is not initialized$/

  const describe = (thrown) => {
    if (!(thrown instanceof Error)) {
      let message
      if (typeof thrown === 'object' && thrown !== null) message = stringify(thrown)
      return { Name: '', Message: slice(String(message ?? String(thrown)), 0, 1000) }
    }
    const message = slice(String(thrown.message), 0, 1000)
    const place = exec(/\bscript:(\d+)/, String(thrown.stack))
    return {
      Name: slice(String(thrown.name), 0, 100),
      Message: message,
      Line: place === null ? 0 : +place[1],
      Below: exec(imprecise, message) !== null,
    }
  }

  const failed = (thrown) => {
    let error = { Name: '', Message: 'the script throws something that cannot be read' }
    try { error = describe(thrown) } catch {}
    return '{"Error":' + stringify(error) + '}'
  }

  // Numbers that differ from run to run, though all begin as one image: a
  // Weyl sequence whose terms are mixed.
  const { imul } = Math
  const random = (seed) => {
    let state = (seed * 4294967296) | 0
    const next = () => {
      state = (state + 0x9e3779b9) | 0
      let bits = imul(state ^ (state >>> 16), 0x85ebca6b)
      bits = imul(bits ^ (bits >>> 13), 0xc2b2ae35)
      return (bits ^ (bits >>> 16)) >>> 0
    }
    return () => (next() * 2097152 + (next() >>> 11)) / 9007199254740992
  }

  let text = ''
  return {
    async begin(script, ctx, seed) {
      Math.random = random(seed - 1)
      try {
        const value = await script(ctx, ctx.input)
        text = '{"Value":' + (value === undefined ? 'null' : stringify(value, strict)) + '}'
      } catch (thrown) {
        text = failed(thrown)
      }
    },
    outcome: () => text,
    describeError: failed,
  }
})()
