// The page that a person sees at the server's address. It uses what any other
// client would: the official bundle, the documented events and the REST API.
'use strict';

const $ = (id) => document.getElementById(id);

const state = { socket: null, monitor: null, room: sessionStorage.getItem('room'), token: '', tenant: null };

function item(list, text, className) {
  const li = document.createElement('li');
  li.textContent = text;
  if (className) li.className = className;
  list.append(li);
  list.scrollTop = list.scrollHeight;
  return li;
}

async function api(path, options = {}) {
  const response = await fetch('api/v1/' + path, {
    ...options,
    headers: { Authorization: 'Bearer ' + state.token, 'Content-Type': 'application/json' },
  });
  const body = await response.json();
  if (!response.ok) throw new Error(body.error.message);
  return body;
}

async function showHealth() {
  try {
    const response = await fetch('health/ready');
    const body = await response.json();
    $('state').textContent = response.ok ? `Ready, version ${body.version}` : 'Not ready: ' + JSON.stringify(body.checks);
    $('state').classList.toggle('bad', !response.ok);
  } catch {
    $('state').textContent = 'The server does not answer.';
    $('state').classList.add('bad');
  }
}

// A token in the fragment of the address never reaches the server. It is
// taken out of the address at once.
function tokenFromAddress() {
  const token = new URLSearchParams(location.hash.slice(1)).get('token');
  if (token) {
    history.replaceState(null, '', location.pathname);
    sessionStorage.setItem('token', token);
  }
  return token || sessionStorage.getItem('token');
}

// signOut ends what the last user saw.
function signOut() {
  for (const socket of [state.socket, state.monitor]) socket?.disconnect();
  Object.assign(state, { socket: null, monitor: null, token: '', tenant: null });
  sessionStorage.removeItem('token');
  $('monitor').hidden = true;
  $('sign-out').hidden = $('who').hidden = true;
  $('decide').hidden = true;
  for (const id of ['lines', 'messages', 'updates', 'workflows']) $(id).replaceChildren();
  for (const el of $('say').elements) el.disabled = true;
}

async function signIn(token) {
  signOut();
  state.token = token;
  let me;
  try {
    me = await api('me');
  } catch (error) {
    $('who').hidden = false;
    $('who').className = 'bad';
    $('who').textContent = error.message;
    return;
  }
  sessionStorage.setItem('token', token);
  state.tenant = me.tenants?.[0]?.id ?? null;
  $('who').hidden = false;
  $('who').className = '';
  $('sign-out').hidden = false;
  $('who').textContent = `You are ${me.userID}` + (state.tenant ? ` in ${state.tenant}.` : '.');
  connect();
  showWorkflows();
  const watches = me.tenants?.some((t) => t.role === 'ADMIN') || me.permissions?.includes('server:operate');
  if (watches) watchLog();
}

function connect() {
  state.socket?.disconnect();
  const socket = io({ auth: { token: state.token }, forceNew: true });
  state.socket = socket;
  socket.on('connect', async () => {
    let ack = await socket.emitWithAck('ai_chat_room_join', state.room ? { chatRoomID: state.room } : {});
    if (!ack.ok && state.room) ack = await socket.emitWithAck('ai_chat_room_join', {}); // another user's, or gone
    if (!ack.ok) return item($('messages'), ack.error.message, 'bot bad');
    state.room = ack.chatRoomID;
    sessionStorage.setItem('room', state.room);
    $('messages').replaceChildren();
    for (const m of ack.messages) item($('messages'), m.text, m.type);
    for (const el of $('say').elements) el.disabled = false;
  });
  socket.on('connect_error', (error) => {
    item($('messages'), error.data ? `${error.data.code}: ${error.message}` : error.message, 'bot bad');
  });
  socket.on('ai_chat_bot_message', ({ text }) => {
    item($('messages'), text, 'bot');
    $('decide').hidden = !/Approve, reject or test\?|approve or reject it/.test(text);
  });
  socket.on('workflow_node_update', (u) => {
    item($('updates'), `${u.nodeID}: ${u.status} ${JSON.stringify(u.output)}${u.error ? ' ' + u.error : ''}`, u.status === 'failed' ? 'bad' : '');
  });
  socket.on('workflow_data_collection_request', ask);
  socket.on('workflow_status_update', (u) => {
    item($('updates'), `run ${u.status}${u.error ? ': ' + u.error : ''}`, u.status === 'COMPLETED' ? '' : 'bad');
  });
  socket.on('error', (e) => item($('updates'), `${e.code}: ${e.message}`, 'bad'));
}

function say(text, action) {
  item($('messages'), text, 'user');
  const message = action ? { text, action } : { text };
  state.socket.emit('ai_chat_user_message', { message, chatRoomID: state.room, ...(state.tenant && { tenantID: state.tenant }) });
}

async function showWorkflows() {
  if (!state.tenant) return;
  const { workflows } = await api(`tenants/${encodeURIComponent(state.tenant)}/workflows`);
  $('workflows').replaceChildren();
  if (!workflows.length) item($('workflows'), 'There are none yet.', 'hint');
  for (const w of workflows) {
    const li = item($('workflows'), w.title);
    const button = document.createElement('button');
    button.textContent = 'Run';
    button.setAttribute('aria-label', `Run ${w.title}`);
    button.addEventListener('click', () => run(w));
    li.append(button);
  }
}

async function run(workflow) {
  $('updates').replaceChildren();
  try {
    const { instanceID } = await api(`tenants/${encodeURIComponent(state.tenant)}/workflows/${workflow.workflowID}/execute`, {
      method: 'POST',
      body: JSON.stringify({ inputValues: {} }),
    });
    item($('updates'), `${workflow.title}, run ${instanceID}`, 'hint');
    state.socket.emit('workflow_run_join', { runId: instanceID });
  } catch (error) {
    item($('updates'), error.message, 'bad');
  }
}

// ask shows what a run wants to know, with an answer of the right shape.
function ask(request) {
  const { title, formSchema } = request.collectionConfig;
  const li = item($('updates'), title || `${request.nodeID} waits for input`);
  const empty = { boolean: true, string: '', number: 0, integer: 0, array: [], object: {} };
  const form = document.createElement('form');
  form.className = 'row';
  const input = document.createElement('input');
  input.setAttribute('aria-label', 'Answer as JSON');
  input.value = JSON.stringify(Object.fromEntries(
    Object.entries(formSchema?.properties ?? {}).map(([name, property]) => [name, empty[property.type] ?? null])));
  const button = document.createElement('button');
  button.textContent = 'Answer';
  form.append(input, button);
  const hint = document.createElement('p');
  hint.className = 'hint';
  hint.textContent = formSchema ? `Matching ${JSON.stringify(formSchema)}` : 'Any JSON value';
  const problem = document.createElement('p');
  problem.className = 'bad';
  problem.setAttribute('role', 'alert');
  li.append(form, hint, problem);
  form.addEventListener('submit', async (event) => {
    event.preventDefault();
    try {
      await api(`tenants/${encodeURIComponent(state.tenant)}/workflows/data-collection`, {
        method: 'POST',
        body: JSON.stringify({ collectionRequestID: request.collectionRequestID, submittedData: JSON.parse(input.value) }),
      });
      form.remove();
      $('text').focus();
    } catch (error) {
      problem.textContent = error instanceof SyntaxError ? `That is not JSON: ${error.message}` : error.message;
    }
  });
}

function watchLog() {
  const socket = io('/monitor', { auth: { token: state.token }, forceNew: true });
  state.monitor = socket;
  $('monitor').hidden = false;
  socket.on('log', ({ instance, routingKey, content, timestamp }) => {
    const { message, ...rest } = content;
    const time = new Date(timestamp).toLocaleTimeString();
    item($('lines'), `${time} ${instance.host} ${routingKey.slice(4)} ${message} ${Object.keys(rest).length ? JSON.stringify(rest) : ''}`,
      /error|warn/.test(routingKey) ? 'bad' : '');
    while ($('lines').children.length > 500) $('lines').firstChild.remove();
  });
}

$('sign-in').addEventListener('submit', (event) => {
  event.preventDefault();
  signIn($('token').value.trim());
  $('token').value = '';
});
$('sign-out').addEventListener('click', signOut);
$('say').addEventListener('submit', (event) => {
  event.preventDefault();
  const text = $('text').value.trim();
  if (!text) return;
  $('text').value = '';
  say(text);
});
$('decide').addEventListener('click', (event) => {
  const action = event.target.dataset.action;
  if (!action) return;
  $('decide').hidden = true;
  $('text').focus();
  say(action, action);
});

showHealth();
setInterval(showHealth, 10_000);
const token = tokenFromAddress();
if (token) signIn(token);
