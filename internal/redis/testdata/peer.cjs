// A server of the JavaScript implementation in a cluster, for wire_test.go.
//
//   node peer.cjs <folder with node_modules> <redis port> <classic|sharded|streams> <redis|ioredis>
//
// It evaluates what it reads from its standard input, lines of {id, code}, and
// writes {id, result} or {id, error}; besides {event} for what it and its
// clients hear.
const { createRequire } = require("node:module");
const readline = require("node:readline");
const http = require("node:http");

const [, , folder, port, adapter, library] = process.argv;
const load = createRequire(folder + "/");
const { Server } = load("socket.io");
const client = load("socket.io-client");
const { Emitter } = load("@socket.io/redis-emitter");

const write = (line) => process.stdout.write(JSON.stringify(line) + "\n");
const tell = (...event) => write({ event });

async function connect() {
	if (library === "ioredis") return new (load("ioredis"))(Number(port));
	const c = load("redis").createClient({ url: `redis://127.0.0.1:${port}` });
	c.on("error", () => {});
	await c.connect();
	return c;
}

async function makeAdapter() {
	const pub = await connect();
	if (adapter === "streams") return load("@socket.io/redis-streams-adapter").createAdapter(pub);
	const sub = await connect();
	const { createAdapter, createShardedAdapter } = load("@socket.io/redis-adapter");
	return adapter === "sharded" ? createShardedAdapter(pub, sub) : createAdapter(pub, sub);
}

async function main() {
	const server = http.createServer();
	const io = new Server(server, {
		adapter: await makeAdapter(),
		connectionStateRecovery: adapter === "streams" ? {} : undefined,
	});
	const emitter = new Emitter(await connect());
	for (const name of ["/", "/other"]) {
		const nsp = io.of(name);
		nsp.on("connection", (socket) => {
			socket.join(socket.handshake.auth.rooms ?? []);
			socket.data = { name: socket.handshake.auth.name };
		});
		nsp.on("ask", (...args) => {
			const ack = typeof args.at(-1) === "function" ? args.pop() : () => {};
			tell("ask", name, ...args);
			ack({ answer: args[0] });
		});
	}
	await new Promise((done) => server.listen(0, "127.0.0.1", done));
	const url = `http://127.0.0.1:${server.address().port}`;
	const clients = {};

	// dial connects a client and tells what it hears.
	async function dial(name, rooms, path = "/") {
		const c = client.io(url + path, { auth: { name, rooms }, transports: ["websocket"], forceNew: true, reconnection: false });
		clients[name] = c;
		c.onAny((...args) => {
			const ack = typeof args.at(-1) === "function" ? args.pop() : undefined;
			tell("client", name, ...args);
			ack?.(...(clients[name].answer ?? [name]));
		});
		c.on("disconnect", (reason) => tell("disconnect", name, reason));
		await new Promise((done, fail) => c.on("connect", done).on("connect_error", fail));
		return c.id;
	}

	const AsyncFunction = main.constructor;
	readline.createInterface({ input: process.stdin }).on("line", async (line) => {
		const { id, code } = JSON.parse(line);
		try {
			const run = new AsyncFunction("io", "dial", "clients", "emitter", "tell", code);
			write({ id, result: (await run(io, dial, clients, emitter, tell)) ?? null });
		} catch (error) {
			write({ id, error: String(error?.stack ?? error) });
		}
	}).on("close", () => process.exit(0));
	write({ id: 0, result: null });
}

main();
