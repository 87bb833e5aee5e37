// The few functions of node-forge that the testbed calls; the package itself has no types.
declare module "node-forge" {
  interface CertificateAttribute {
    name: string;
    value: string;
  }
  interface Certificate {
    publicKey: unknown;
    serialNumber: string;
    validity: { notBefore: Date; notAfter: Date };
    setSubject(attributes: readonly CertificateAttribute[]): void;
    setIssuer(attributes: readonly CertificateAttribute[]): void;
    setExtensions(extensions: readonly Record<string, unknown>[]): void;
    sign(privateKey: unknown, digest: unknown): void;
  }
  const forge: {
    pki: {
      createCertificate(): Certificate;
      privateKeyFromPem(pem: string): unknown;
      publicKeyFromPem(pem: string): unknown;
      certificateToPem(certificate: Certificate): string;
    };
    md: { sha256: { create(): unknown } };
  };
  export default forge;
}
