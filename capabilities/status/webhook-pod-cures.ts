/** What Node says of a certificate that it does not trust, or that is for another name. */
const CERTIFICATE = /^(?:ERR_TLS_CERT|CERT_|SELF_SIGNED_|DEPTH_ZERO_|UNABLE_TO_(?:GET_ISSUER|VERIFY)_)/;

/** What comes of plain HTTP to a port of HTTPS, and the other way round. */
const PROTOCOL = /^(?:EPROTO|ECONNRESET|ERR_SSL_|HPE_)/;

/**
 * What to do when a pod that takes deliveries could not be asked.
 *
 * @param host that of WEBHOOK_PODS_URL
 */
export function cureFor(error: unknown, host: string): string {
  const code = codeOf(error);
  if (code === "ENOTFOUND" || code === "ENODATA")
    return "there is no such Service, or it has no pods: see MLFLOW_KSERVE_WEBHOOK_PODS_URL, and kubectl -n pepr-system get pods";
  if (code === "ENOENT" || code === "EACCES") return "see MLFLOW_KSERVE_TLS_CERT_FILE, and that it is mounted";
  if (code === "ERR_TLS_CERT_ALTNAME_INVALID")
    return `the certificate of MLFLOW_KSERVE_TLS_CERT_FILE must be for the name ${host} as well`;
  if (code === "CERT_HAS_EXPIRED") return "renew the certificate of MLFLOW_KSERVE_TLS_CERT_FILE";
  if (CERTIFICATE.test(code))
    return "the pods must serve the certificate of MLFLOW_KSERVE_TLS_CERT_FILE; just renewed, it reaches them within two minutes";
  if (PROTOCOL.test(code))
    return "MLFLOW_KSERVE_WEBHOOK_PODS_URL must begin with https:// where MLFLOW_KSERVE_TLS_CERT_FILE is set, else with http://";
  return "see that it runs, that MLFLOW_KSERVE_WEBHOOK_PODS_URL has its port for operations, and that NetworkPolicies let the watcher reach it";
}

/** The code of the error that caused it, or of itself; empty when there is none. */
function codeOf(error: unknown): string {
  for (let at = error, depth = 0; at instanceof Error && depth < 5; at = at.cause, depth++)
    if ("code" in at && typeof at.code === "string") return at.code;
  return "";
}
