// Two users with xmpp.js over WebSocket: node xmppjs.mjs URL DOMAIN PASSWORD. They log in, get their rosters, see
// one another and chat both ways. At the line "cut" on standard output the other side breaks their connections; the
// clients resume their sessions and chat again. Ends with "done", or with an error.
import { client, xml } from '@xmpp/client'
import { createInterface } from 'node:readline'

const [service, domain, password] = process.argv.slice(2)
const deadline = setTimeout(() => fail(new Error('time is over')), 60_000)

function fail (error) {
  console.error(error)
  process.exit(1)
}

// user is somebody who is logged in once the promise has resolved.
async function user (name) {
  const xmpp = client({ service, domain, username: name, password })
  const u = { xmpp, heard: [], seen: new Set(), logins: 0, waiting: [] }
  xmpp.on('error', () => {}) // broken connections: the client comes back by itself
  const back = () => {
    u.logins++
    u.wake()
  }
  xmpp.on('online', () => xmpp.send(xml('presence')).then(back))
  xmpp.streamManagement.on('resumed', back)
  xmpp.on('stanza', s => {
    if (s.is('message') && s.getChildText('body')) u.heard.push(s.getChildText('body'))
    if (s.is('presence') && s.attrs.from) u.seen.add(s.attrs.from.split('/')[0])
    u.wake()
  })
  u.wake = () => u.waiting.forEach(f => f())
  u.until = condition => new Promise(resolve => {
    const check = () => {
      if (!condition()) return
      u.waiting = u.waiting.filter(f => f !== check)
      resolve()
    }
    u.waiting.push(check)
    check()
  })
  u.say = (to, text) => xmpp.send(xml('message', { to: `${to}@${domain}`, type: 'chat' }, xml('body', {}, text)))
  await xmpp.start()
  return u
}

async function chat (from, to, jid, what) {
  to.heard = []
  for (let i = 0; i < 20; i++) await from.say(jid, `${what} ${i}`)
  await to.until(() => to.heard.length >= 20)
  to.heard.forEach((text, i) => { if (text !== `${what} ${i}`) fail(new Error(`message ${i} is ${text}`)) })
}

const alice = await user('alice')
const bob = await user('bob')
const roster = await alice.xmpp.iqCaller.get(xml('query', 'jabber:iq:roster'))
if (roster.getChild('item')?.attrs.jid !== `bob@${domain}`) fail(new Error(`roster: ${roster}`))
await alice.until(() => alice.seen.has(`bob@${domain}`))
await chat(alice, bob, 'bob', 'hello <&> é🙂')
await chat(bob, alice, 'alice', 'good evening')
console.log('cut')
await new Promise(resolve => createInterface({ input: process.stdin }).once('line', resolve))
await alice.until(() => alice.logins > 1)
await bob.until(() => bob.logins > 1)
await chat(alice, bob, 'bob', 'again')
await chat(bob, alice, 'alice', 'and again')
await Promise.all([alice.xmpp.stop(), bob.xmpp.stop()])
clearTimeout(deadline)
console.log('done')
process.exit(0)
