import * as z from "zod";

/** Where the kubelet puts the token of a pod's ServiceAccount. */
export const SERVICE_ACCOUNT_TOKEN_FILE = "/var/run/secrets/kubernetes.io/serviceaccount/token";

const claims = z.object({
  "kubernetes.io": z.object({ serviceaccount: z.object({ uid: z.string().regex(/^\S+$/) }) }),
});

/**
 * What tells this installation from others, also from those in other clusters: the uid of the module's ServiceAccount,
 * which all its pods have from their token, without a right or a request.
 *
 * @param token the ServiceAccount's token; undefined where there is none
 * @param otherwise for a token that does not have the uid, as those of an external issuer need not
 */
export function installationIdFrom(token: string | undefined, otherwise: string): string {
  try {
    const payload = Buffer.from(token?.split(".")[1] ?? "", "base64url").toString("utf8");
    return claims.parse(JSON.parse(payload))["kubernetes.io"].serviceaccount.uid;
  } catch {
    return otherwise;
  }
}
