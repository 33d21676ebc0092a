// What the assistant proposes is done once, when one of those in the
// conversation says so, on whichever device.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { promisify } from 'node:util';
import { Client, matrix } from './lib/client.mjs';
import { checkTraffic } from './lib/contract.mjs';
import { start } from './lib/server.mjs';

let server;
let otherToken;
before(async () => {
  server = await start();
  otherToken = await server.token('other');
});
after(async () => {
  await checkTraffic(server);
  assert.equal(await server.stop(), 0);
});

const run = promisify(execFile);
const database = (statement) => run('sqlite3', ['-cmd', '.timeout 5000', join(server.data, 'roomcast.db'), statement]);
const admin = (method, path, body) => server.api(server.tokens.admin, method, `/tenants/default/workflows${path}`, body);

const definition = (more = {}) => ({
  workflowOptions: { args: [{ key: 'n', type: 'number', defaultValue: 1 }] },
  nodes: [{ id: 's', type: 'start' }, { id: 'e', type: 'end', data: { outputParameters: [{ name: 'input', sourceVariable: 'input' }], ...more } }],
  edges: [{ source: 's', target: 'e' }],
});

let count = 0;

// proposed returns two tabs of one user and one of another, all in a
// conversation in which the assistant has proposed to run a workflow.
async function proposed(options) {
  const title = `Job ${++count}`;
  const { workflowID } = (await admin('POST', '', { title, definition: definition() })).body;
  const open = (token = server.tokens.member) => Client.open(server.url, { token, ...options });
  const [tab, second, other] = await Promise.all([open(), open(), open(otherToken)]);
  const { chatRoomID } = await tab.emit('ai_chat_room_join', { stream: true });
  await database(`INSERT INTO chat_members (room_id, user_id, added_by, at) VALUES ('${chatRoomID}', 'other', 'member', 0)`);
  const say = async (text, action) => {
    tab.send('ai_chat_user_message', { chatRoomID, message: { text, action }, tenantID: 'default' });
    return (await tab.next('ai_chat_bot_message')).text;
  };
  assert.match(await say(`run ${title} with n=2`), /Approve, reject or test\?/);
  const asked = await tab.next('ai_chat_approval_required');
  const { approvalID, hash } = asked;
  assert.deepEqual([asked.tool, asked.title, asked.arguments], ['workflow_run', title, { workflowID, inputValues: { n: 2 } }]);
  // Who comes later is shown what waits.
  for (const client of [second, other]) {
    assert.equal((await client.emit('ai_chat_room_join', { chatRoomID, stream: true })).ok, true);
    assert.deepEqual(await client.next('ai_chat_approval_required'), asked);
  }
  return {
    tab, second, other, all: [tab, second, other], title, workflowID, chatRoomID, asked, say,
    decide: (client, decision, more) => client.emit('ai_chat_approval', { chatRoomID, approvalID, hash, decision, ...more }),
    runs: async () => (await admin('GET', `/instances?workflowID=${workflowID}`)).body.instances,
    // told checks that every device gets an event, and returns it.
    told: async (name) => {
      const events = await Promise.all([tab, second, other].map((c) => c.next(`ai_chat_approval_${name}`)));
      for (const event of events) assert.deepEqual(event, events[0]);
      assert.deepEqual([events[0].chatRoomID, events[0].approvalID], [chatRoomID, approvalID]);
      return events[0];
    },
    close: () => {
      for (const c of [tab, second, other]) {
        assert.deepEqual(c.received.filter((e) => e.name.startsWith('ai_chat_approval')), []);
        c.close();
      }
    },
  };
}

const refused = (ack, code, field, message = /./) => {
  assert.deepEqual([ack.ok, ack.error.code, ack.error.field], [false, code, field]);
  assert.match(ack.error.message, message);
};

for (const options of matrix) {
  describe(`approvals, socket.io-client ${options.version} over ${options.transport}`, { concurrency: true }, () => {
    it('runs once what two tabs and two users approve at once', async () => {
      const p = await proposed(options);
      for (const ack of await Promise.all(p.all.map((c) => p.decide(c, 'approve')))) {
        assert.deepEqual([ack.ok, ack.status], [true, 'approved']);
      }
      const { decision, decidedBy } = await p.told('resolved');
      assert.equal(decision, 'approved');
      const outcome = await p.told('outcome');
      assert.equal(outcome.ok, true);
      assert.match(outcome.outcome, /COMPLETED: {"input":{"n":2}}/);
      // A repeat is harmless, and another decision comes too late.
      assert.deepEqual(await p.decide(p.other, 'approve'), { ok: true, status: 'approved', outcome: outcome.outcome });
      for (const what of ['reject', 'test']) {
        refused(await p.decide(p.second, what), 'CONFLICT', 'decision', new RegExp(`approved by ${decidedBy}$`));
      }
      assert.deepEqual((await p.runs()).map((r) => r.instanceID), [outcome.instanceID]);
      p.close();
    });
  });
}

describe('approvals', { concurrency: true }, () => {
  it('tries without consequences, and leaves it pending', async () => {
    const p = await proposed();
    const tested = await p.decide(p.other, 'test');
    assert.deepEqual([tested.ok, tested.status], [true, 'pending']);
    assert.match(tested.outcome, /would run with {"n":2}/);
    assert.deepEqual(await p.runs(), []);
    assert.deepEqual(await p.decide(p.other, 'reject'), { ok: true, status: 'rejected' });
    assert.deepEqual([(await p.told('resolved')).decidedBy], ['other']);
    assert.deepEqual(await p.decide(p.tab, 'reject'), { ok: true, status: 'rejected' });
    refused(await p.decide(p.tab, 'approve'), 'CONFLICT', 'decision', /rejected by other/);
    assert.deepEqual(await p.runs(), []);
    p.close();
  });

  it('refuses a decision about something else, or of somebody else', async () => {
    const p = await proposed();
    refused(await p.decide(p.tab, 'approve', { hash: '0'.repeat(64) }), 'CONFLICT', 'hash');
    refused(await p.decide(p.tab, 'approve', { approvalID: '550e8400-e29b-41d4-a716-446655440000' }), 'NOT_FOUND', undefined);
    const stranger = await Client.open(server.url, { token: await server.token('stranger') });
    refused(await p.decide(stranger, 'approve'), 'NOT_FOUND', undefined);
    stranger.close();
    assert.deepEqual(await p.runs(), []);
    p.close();
  });

  it('does not run a workflow that has changed, or is gone', async () => {
    for (const change of [(p) => admin('PATCH', `/${p.workflowID}`, { definition: definition({ title: 'another end' }) }), (p) => admin('DELETE', `/${p.workflowID}`)]) {
      const p = await proposed();
      assert.ok((await change(p)).status < 300);
      refused(await p.decide(p.tab, 'approve'), 'CONFLICT', 'approvalID', /cannot be done as it was proposed/);
      const resolved = await p.told('resolved');
      assert.deepEqual([resolved.decision, resolved.decidedBy], ['invalid', undefined]);
      assert.ok(resolved.reason);
      refused(await p.decide(p.other, 'approve'), 'CONFLICT', 'approvalID');
      assert.deepEqual(await p.runs(), []);
      p.close();
    }
  });

  it('expires', async () => {
    const p = await proposed();
    await database(`UPDATE chat_approvals SET expires_at = 1 WHERE id = '${p.asked.approvalID}'`);
    const resolved = await p.told('resolved');
    assert.deepEqual([resolved.decision, resolved.decidedBy], ['expired', undefined]);
    refused(await p.decide(p.tab, 'approve'), 'CONFLICT', 'approvalID', /expired/);
    p.close();
  });

  it('does what a server that is gone has left undone, and begins no run twice', async () => {
    const p = await proposed();
    const leave = (status) => database(`UPDATE chat_approvals SET ${status}, owner = 'gone', done = 0 WHERE id = '${p.asked.approvalID}'`);
    await leave("status = 'approved', decided_by = 'member', decided_as = 'MEMBER', decided_at = 1");
    const first = await p.told('outcome');
    await leave("outcome = ''"); // as if it had died after it began the run
    const second = await p.told('outcome');
    assert.equal(first.ok, true);
    assert.deepEqual(second, first);
    assert.deepEqual((await p.runs()).map((r) => r.instanceID), [first.instanceID]);
    await p.told('resolved');
    await p.told('resolved'); // again each time: nobody knows whether it was told
    p.close();
  });

  it('lets message.action decide the same, and tells what came of it', async () => {
    const p = await proposed();
    assert.match(await p.say('try it', 'test'), /The test passed/);
    assert.match(await p.say('yes', 'approve'), /COMPLETED: {"input":{"n":2}}/);
    assert.equal((await p.told('resolved')).decidedBy, 'member');
    const outcome = await p.told('outcome');
    assert.deepEqual(await p.decide(p.other, 'approve'), { ok: true, status: 'approved', outcome: outcome.outcome });
    assert.match(await p.say('yes', 'approve'), /nothing to approve/);
    assert.equal((await p.runs()).length, 1);
    p.close();
  });
});
