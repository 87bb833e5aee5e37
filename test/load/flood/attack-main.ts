import { connect } from "node:net";

/** What an attack is, as the JSON that its process is given. */
export interface Attack {
  readonly port: number;
  readonly connections: number;
  /** Requests that each connection sends at once, without waiting for an answer; 0: it says nothing. */
  readonly requests: number;
}

const { port, connections, requests } = JSON.parse(process.argv[2] ?? "") as Attack;
const text = "GET /services?limit=500 HTTP/1.1\r\nHost: x\r\n\r\n".repeat(requests);

// One that the server closes comes again at once, for as long as whoever started this process wants.
function attack(): void {
  const socket = connect({ host: "127.0.0.1", port });
  socket.once("connect", () => {
    if (requests > 0) socket.write(text);
    process.send?.("connected");
  });
  socket.resume();
  socket.on("error", () => undefined);
  socket.once("close", attack);
}

for (let count = 0; count < connections; count++) attack();
process.once("disconnect", () => process.exit());
