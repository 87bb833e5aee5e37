import { generateKeyPair, randomBytes } from "node:crypto";
import { promisify } from "node:util";
import forge from "node-forge";

const VALID_FOR_DAYS = 30;
const SIGNATURE_ALGORITHM = forge.md.sha256;

/** A certificate and its private key, both PEM text. */
export interface Certificate {
  readonly certificate: string;
  readonly privateKey: string;
}

/** A pair of keys, both PEM text. */
export interface KeyPair {
  readonly publicKey: string;
  readonly privateKey: string;
}

/** All that the parts of one run need to trust each other, valid for 30 days. */
export interface Certificates {
  readonly authority: Certificate;
  /** For every server on 127.0.0.1 that the API server, or a client of it, talks to. */
  readonly server: Certificate;
  /** For clients that may do everything in the cluster. */
  readonly administrator: Certificate;
  /** Signs the tokens of ServiceAccounts. */
  readonly serviceAccountKeys: KeyPair;
}

/** Makes a certificate authority and what it has to sign. */
export async function createCertificates(): Promise<Certificates> {
  const [authorityKeys, serverKeys, administratorKeys, serviceAccountKeys] = await Promise.all([
    createKeyPair(),
    createKeyPair(),
    createKeyPair(),
    createKeyPair(),
  ]);
  const authorityName = { commonName: "mlflow-kserve testbed" };
  const authority = sign(authorityKeys, authorityName, authorityName, authorityKeys.privateKey, [
    { name: "basicConstraints", cA: true, critical: true },
    { name: "keyUsage", keyCertSign: true, digitalSignature: true, critical: true },
  ]);
  const issue = (keys: KeyPair, subject: Record<string, string>, extensions: Record<string, unknown>[]): Certificate =>
    sign(keys, subject, authorityName, authorityKeys.privateKey, [
      { name: "keyUsage", digitalSignature: true, keyEncipherment: true, critical: true },
      ...extensions,
    ]);
  return {
    authority,
    server: issue(serverKeys, { commonName: "testbed server" }, [
      { name: "extKeyUsage", serverAuth: true },
      {
        name: "subjectAltName",
        altNames: [
          { type: 7, ip: "127.0.0.1" },
          { type: 2, value: "localhost" },
          { type: 2, value: "kubernetes.default.svc" },
        ],
      },
    ]),
    administrator: issue(
      administratorKeys,
      // The one group that Kubernetes allows everything without looking at any role.
      { commonName: "testbed-administrator", organizationName: "system:masters" },
      [{ name: "extKeyUsage", clientAuth: true }],
    ),
    serviceAccountKeys,
  };
}

async function createKeyPair(): Promise<KeyPair> {
  return promisify(generateKeyPair)("rsa", {
    modulusLength: 2048,
    publicKeyEncoding: { type: "spki", format: "pem" },
    privateKeyEncoding: { type: "pkcs1", format: "pem" },
  });
}

function sign(
  keys: KeyPair,
  subject: Record<string, string>,
  issuer: Record<string, string>,
  issuerPrivateKey: string,
  extensions: readonly Record<string, unknown>[],
): Certificate {
  const certificate = forge.pki.createCertificate();
  const attributes = (name: Record<string, string>) =>
    Object.entries(name).map(([attribute, value]) => ({ name: attribute, value }));
  certificate.publicKey = forge.pki.publicKeyFromPem(keys.publicKey);
  certificate.serialNumber = `01${randomBytes(15).toString("hex")}`; // the leading byte keeps the number positive
  // An hour back, for clocks that were just set right.
  certificate.validity = {
    notBefore: new Date(Date.now() - 3_600_000),
    notAfter: new Date(Date.now() + VALID_FOR_DAYS * 24 * 3_600_000),
  };
  certificate.setSubject(attributes(subject));
  certificate.setIssuer(attributes(issuer));
  certificate.setExtensions(extensions);
  certificate.sign(forge.pki.privateKeyFromPem(issuerPrivateKey), SIGNATURE_ALGORITHM.create());
  return { certificate: forge.pki.certificateToPem(certificate), privateKey: keys.privateKey };
}
