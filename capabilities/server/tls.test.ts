import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import http from "node:http";
import https from "node:https";
import type { IncomingMessage } from "node:http";
import { tmpdir } from "node:os";
import path from "node:path";
import { once } from "node:events";
import type { TLSSocket } from "node:tls";
import { describe, expect, it, onTestFinished, vi } from "vitest";
import { selfSigned } from "../../test/support/unit/certificates";
import type { SelfSigned } from "../../test/support/unit/certificates";
import { rejectionOf, thrownBy } from "../../test/support/unit/outcomes";
import { recordingLog } from "../../test/support/unit/recording-log";
import type { RecordedLine } from "../../test/support/unit/recording-log";
import { startHttpServer } from "./http-server";
import { createTlsOptions, TlsError } from "./tls";
import type { TlsOptions } from "./tls";

const first = selfSigned("first");
const second = selfSigned("second");

/** Milliseconds between two looks in these tests. */
const INTERVAL = 20;

interface Files extends TlsOptions {
  readonly directory: string;
  readonly lines: readonly RecordedLine[];
}

/** A pair of files as Kubernetes mounts a Secret: links to a folder that is exchanged as a whole. */
function mount(pair: SelfSigned): Files {
  const directory = mkdtempSync(path.join(tmpdir(), "mlflow-kserve-tls-"));
  onTestFinished(() => {
    rmSync(directory, { recursive: true });
  });
  const [certFile, keyFile] = [path.join(directory, "tls.crt"), path.join(directory, "tls.key")];
  symlinkSync("..data/tls.crt", certFile);
  symlinkSync("..data/tls.key", keyFile);
  exchange(directory, pair);
  return { directory, certFile, keyFile, interval: INTERVAL, ...recordingLog() };
}

function exchange(directory: string, { cert, key }: SelfSigned): void {
  const folder = mkdtempSync(path.join(directory, "..version-"));
  writeFileSync(path.join(folder, "tls.crt"), cert);
  writeFileSync(path.join(folder, "tls.key"), key);
  const link = path.join(directory, "..new");
  symlinkSync(path.basename(folder), link);
  renameSync(link, path.join(directory, "..data"));
}

async function serve(files: Files, tls = createTlsOptions(files)): Promise<number> {
  const routes = { "/livez": { GET: () => Promise.resolve({ status: 200, body: { status: "alive" } }) } };
  const server = await startHttpServer({ host: "127.0.0.1", port: 0, routes, log: files.log, tls });
  onTestFinished(() => server.close());
  return server.port;
}

/** Asks over HTTPS and returns the status and whose certificate was shown. @throws when `ca` did not issue it */
async function ask(port: number, ca: string): Promise<[status: number | undefined, name: string]> {
  const request = https.get({ host: "127.0.0.1", port, path: "/livez", ca, agent: false });
  const [response] = (await once(request, "response")) as [IncomingMessage];
  const { subject } = (response.socket as TLSSocket).getPeerCertificate();
  response.resume();
  await once(response, "end");
  return [response.statusCode, subject.CN];
}

describe("an endpoint with a certificate", () => {
  it("serves HTTPS to who trusts its issuer, and to nobody else", async () => {
    const port = await serve(mount(first));
    expect(await ask(port, first.cert)).toEqual([200, "first"]);
    expect((await rejectionOf(ask(port, second.cert))).message).toMatch(/self.signed/);
  });

  it("does not speak HTTP, and survives who does", async () => {
    const port = await serve(mount(first));
    await rejectionOf(once(http.get({ host: "127.0.0.1", port, agent: false }), "response"));
    expect(await ask(port, first.cert)).toEqual([200, "first"]);
  });

  it("serves many who come at once, each in its turn", async () => {
    const port = await serve(mount(first));
    const answers = await Promise.all(Array.from({ length: 40 }, () => ask(port, first.cert)));
    expect(answers).toEqual(Array(40).fill([200, "first"]));
  });

  it("takes up a renewed certificate on each of its ports", async () => {
    const files = mount(first);
    const tls = createTlsOptions(files);
    const ports = [await serve(files, tls), await serve(files, tls)];
    exchange(files.directory, second);
    for (const port of ports) {
      await vi.waitFor(async () => {
        expect(await ask(port, second.cert)).toEqual([200, "second"]);
      });
    }
    expect(files.lines.filter(({ message }) => message === "Renewed certificate taken up")).toHaveLength(1);
  });

  it("takes up a renewed certificate, and keeps the connections that are open", async () => {
    const files = mount(first);
    const port = await serve(files);
    const agent = new https.Agent({ keepAlive: true, ca: first.cert });
    onTestFinished(() => {
      agent.destroy();
    });
    const kept = async (): Promise<number | undefined> => {
      const request = https.get({ host: "127.0.0.1", port, path: "/livez", agent });
      const [response] = (await once(request, "response")) as [IncomingMessage];
      response.resume();
      await once(response, "end");
      return response.statusCode;
    };
    expect(await kept()).toBe(200);
    exchange(files.directory, second);
    await vi.waitFor(async () => {
      expect(await ask(port, second.cert)).toEqual([200, "second"]);
    });
    expect(await kept()).toBe(200);
    expect(files.lines.filter(({ level }) => level !== "debug")).toMatchObject([
      { level: "info", message: "Renewed certificate taken up", fields: { subject: "CN=second" } },
    ]);
  });

  it("stays with the old one while the new is half written, says so once, and takes it up when it is whole", async () => {
    const files = mount(first);
    const port = await serve(files);
    exchange(files.directory, { cert: second.cert, key: first.key });
    await vi.waitFor(() => {
      expect(files.lines).toHaveLength(1);
    });
    await new Promise(resolve => setTimeout(resolve, 5 * INTERVAL));
    expect(files.lines).toMatchObject([
      {
        level: "error",
        message: "The renewed certificate cannot be used, the old one stays",
        fields: { cause: expect.stringContaining("does not match the certificate") as string },
      },
    ]);
    expect(await ask(port, first.cert)).toEqual([200, "first"]);
    rmSync(path.join(files.directory, "..data"));
    await vi.waitFor(() => {
      expect(files.lines.at(-1)?.fields.cause).toContain("(ENOENT)");
    });
    exchange(files.directory, second);
    await vi.waitFor(async () => {
      expect(await ask(port, second.cert)).toEqual([200, "second"]);
    });
  });

  it("warns when a certificate expires while it is served", async () => {
    // A second is what a certificate's times are rounded down to.
    const files = mount(selfSigned("short", 2 / 3600));
    await serve(files);
    expect(files.lines).toEqual([]);
    await vi.waitFor(
      () => {
        expect(files.lines).toMatchObject([
          { level: "warn", message: "The certificate has expired, clients will refuse it; renew it" },
        ]);
      },
      { timeout: 10_000 },
    );
  });
});

describe("a pair that cannot be used at the start", () => {
  const garbage = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
  const encrypted = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";

  it.each([
    ["no certificate", { ...first, cert: "hello" }, /tls\.crt holds no certificate in PEM form; give the server's/],
    ["a garbled certificate", { ...first, cert: garbage }, /tls\.crt holds no certificate in PEM form/],
    ["half a certificate", { ...first, cert: first.cert.slice(0, 500) }, /tls\.crt holds no certificate in PEM form/],
    ["no key", { ...first, key: "" }, /tls\.key holds no private key in PEM form; give the key of the certificate/],
    ["an encrypted key", { ...first, key: encrypted }, /tls\.key is encrypted with a passphrase; give it without one/],
    [
      "another's key",
      { ...first, key: second.key },
      /The key in .*tls\.key does not match the certificate in .*tls\.crt/,
    ],
    [
      "a garbled chain",
      { ...first, cert: first.cert + garbage },
      /tls\.crt and .*tls\.key cannot be served; check the/,
    ],
  ])("is a clear error: %s", (_, pair, message) => {
    const error = thrownBy(() => createTlsOptions(mount(pair)));
    expect(error).toBeInstanceOf(TlsError);
    expect(error.message).toMatch(message);
    expect(error.message).not.toContain(first.key.split("\n")[1]);
  });

  it("is a clear error: files that are missing, or none", () => {
    const files = mount(first);
    const missing = { ...files, certFile: path.join(files.directory, "none.crt") };
    expect(thrownBy(() => createTlsOptions(missing)).message).toMatch(
      /none\.crt cannot be read \(ENOENT\); check the path, that it is mounted, and its permissions$/,
    );
    const folder = path.join(files.directory, "folder");
    mkdirSync(folder);
    expect(thrownBy(() => createTlsOptions({ ...files, keyFile: folder })).message).toMatch(
      /folder cannot be read \(EISDIR\)/,
    );
  });

  it("is served with a warning when it has expired", async () => {
    const expired = selfSigned("expired", -1);
    const files = mount(expired);
    const port = await serve(files);
    expect(files.lines).toMatchObject([
      { level: "warn", message: "The certificate has expired, clients will refuse it; renew it" },
    ]);
    expect((await rejectionOf(ask(port, expired.cert))).message).toMatch(/expired/);
  });
});
