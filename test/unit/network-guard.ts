/** Loaded before a program, refuses every way out of the machine and says so on stderr. */
import dgram from "node:dgram";
import dns from "node:dns";
import net from "node:net";

function refuse(what: string): never {
  process.stderr.write(`NETWORK: ${what}\n`);
  throw new Error(`network use: ${what}`);
}

// Pipes and Unix sockets have a path and stay on the machine.
const connect = net.Socket.prototype.connect;
net.Socket.prototype.connect = function (this: net.Socket, ...args: unknown[]) {
  const first = Array.isArray(args[0]) ? args[0][0] : args[0];
  const isLocal = typeof first === "object" && first !== null && "path" in first && Boolean(first.path);
  if (!isLocal && typeof first !== "string") refuse("connect");
  return Reflect.apply(connect, this, args);
} as typeof connect;
const listen = net.Server.prototype.listen;
net.Server.prototype.listen = function (this: net.Server, ...args: unknown[]) {
  if (typeof args[0] !== "string") refuse("listen");
  return Reflect.apply(listen, this, args);
} as typeof listen;
dgram.Socket.prototype.send = () => refuse("datagram");
dns.lookup = (() => refuse("name look-up")) as unknown as typeof dns.lookup;
globalThis.fetch = () => refuse("fetch");
