import { generateKeyPairSync } from "node:crypto";
import forge from "node-forge";

const HOUR = 3_600_000;

/** A certificate for 127.0.0.1 that is its own issuer, and its key; both PEM text. */
export interface SelfSigned {
  readonly cert: string;
  readonly key: string;
}

/**
 * Makes a certificate.
 *
 * @param name its common name
 * @param hours from now to its end, negative for one that has expired
 */
export function selfSigned(name: string, hours = 24): SelfSigned {
  const { publicKey, privateKey } = generateKeyPairSync("rsa", {
    modulusLength: 2048,
    publicKeyEncoding: { type: "spki", format: "pem" },
    privateKeyEncoding: { type: "pkcs1", format: "pem" },
  });
  const certificate = forge.pki.createCertificate();
  certificate.publicKey = forge.pki.publicKeyFromPem(publicKey);
  certificate.serialNumber = "01";
  certificate.validity = {
    notBefore: new Date(Date.now() - 100 * HOUR),
    notAfter: new Date(Date.now() + hours * HOUR),
  };
  certificate.setSubject([{ name: "commonName", value: name }]);
  certificate.setIssuer([{ name: "commonName", value: name }]);
  certificate.setExtensions([
    { name: "basicConstraints", cA: true },
    { name: "subjectAltName", altNames: [{ type: 7, ip: "127.0.0.1" }] },
  ]);
  certificate.sign(forge.pki.privateKeyFromPem(privateKey), forge.md.sha256.create());
  return { cert: forge.pki.certificateToPem(certificate), key: privateKey };
}
