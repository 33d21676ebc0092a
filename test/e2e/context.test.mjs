// A client that goes by the changes of a run has its variables, also when they
// are too large for its events, and finds those that it has not seen.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, describe, it } from 'node:test';
import { Client, matrix } from './lib/client.mjs';
import { checkTraffic } from './lib/contract.mjs';
import { start } from './lib/server.mjs';

let server, report;
before(async () => {
  server = await start({ env: { ROOMCAST_WORKFLOW_CONTEXTLIMIT: '4KiB' } });
  const { body } = await server.api(server.tokens.admin, 'POST', '/tenants/default/workflows', {
    title: 'Report',
    nodes: [
      { id: 'start', type: 'start' },
      { id: 'ask', type: 'dataCollection', data: { title: 'Which month?', outputVariable: 'month' } },
      ...[1, 2, 3].map((n) => ({ id: `part${n}`, type: 'transform', data: { expression: `repeat("${n}", 3000)`, outputVariable: `part${n}` } })),
      { id: 'end', type: 'end', data: { outputParameters: [{ name: 'month', sourceVariable: 'month' }] } },
    ],
    edges: ['start', 'ask', 'part1', 'part2', 'part3'].map((source, i) => ({ source, target: ['ask', 'part1', 'part2', 'part3', 'end'][i] })),
  });
  report = body.workflowID;
});
after(async () => {
  await checkTraffic(server);
  assert.equal(await server.stop(), 0);
});

const open = (options) => Client.open(server.url, { token: server.tokens.member, ...options });

// variables are those that the HTTP API has for a reference.
async function variables({ offset, href }) {
  const { status, body } = await server.api(server.tokens.member, 'GET', href.replace('/api/v1', ''));
  assert.equal(status, 200, JSON.stringify(body));
  assert.equal(body.offset, offset);
  return body.contextData;
}

// widget keeps the context of a run as dashboards do: an event's, if it has
// one, or else with the change.
function widget(client) {
  const w = { id: randomUUID(), context: {}, refs: [] };
  const on = (name, fn) => client.socket.on(name, (payload) => payload.widgetID === w.id && fn(payload));
  const take = (context, ref) => {
    if (context) w.context = context;
    if (ref) w.refs.push(ref);
    assert.equal(Boolean(ref && context), false, 'a context and a reference');
  };
  on('widget_workflow_connected', (p) => take(p.initialContext, p.contextRef));
  on('widget_context_update', ({ update }) => {
    take(update.contextSnapshot, update.contextRef);
    if (!update.contextSnapshot && update.outputVariable) w.context = { ...w.context, [update.outputVariable]: update.value };
  });
  on('widget_workflow_status', (p) => take(p.finalContext, p.contextRef));
  return w;
}

for (const options of matrix) {
  describe(`socket.io-client ${options.version} over ${options.transport}`, () => {
    it('has all variables of a large run', async () => {
      const client = await open(options);
      const w = widget(client);
      client.send('widget_workflow_connect', { widgetID: w.id, workflowID: report, inputParams: { year: 2026 } });
      const { instanceID, initialContext } = await client.next('widget_workflow_connected');
      assert.deepEqual(initialContext, { input: { year: 2026 } });
      await client.next('workflow_data_collection_request');
      client.send('widget_send_input', { widgetID: w.id, inputType: 'form_submit', data: { name: 'May' } });
      const status = await client.next('widget_workflow_status');
      assert.equal(status.finalContext, null);
      const all = await variables(status.contextRef);
      assert.deepEqual(Object.keys(all).filter((k) => k !== 'output'), ['input', 'month', 'part1', 'part2', 'part3']);
      delete all.output; // which is no node's variable
      assert.deepEqual(w.context, all);

      const updates = client.received.filter((e) => e.name === 'widget_context_update').map((e) => e.payload.update);
      assert.deepEqual(updates.map((u) => u.contextSnapshot !== null), [true, true, true, false, false, false]);
      const then = await variables(updates[3].contextRef);
      assert.deepEqual([then.part2, then.part3], ['2'.repeat(3000), undefined]);

      // Who comes later is told where the variables are.
      const late = await open(options);
      const l = widget(late);
      late.send('widget_workflow_connect', { widgetID: l.id, instanceID, mode: 'subscribe' });
      const subscribed = await late.next('widget_workflow_connected');
      assert.deepEqual([subscribed.initialContext, (await variables(subscribed.contextRef)).part3], [null, '3'.repeat(3000)]);
      assert.equal((await late.next('widget_workflow_status')).finalContext, null);
      late.send('widget_workflow_connect', { widgetID: l.id, instanceID, mode: 'replay' });
      await late.next('widget_workflow_status');
      delete all.input;
      assert.deepEqual(l.context, all);

      const viewer = await open(options);
      await viewer.emit('workflow_run_join', { runId: instanceID });
      const over = await viewer.next('workflow_status_update');
      assert.deepEqual([over.contextData, over.output, over.contextRef], [null, { month: { name: 'May' } }, status.contextRef]);
      for (const c of [client, late, viewer]) c.close();
    });
  });
}
