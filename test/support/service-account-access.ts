import * as z from "zod";
import type { ApiServer } from "../../capabilities/kubernetes/api-server";
import type { ApiServerProxyRequest } from "./api-server-proxy";

/** One thing done to one resource, in RBAC's terms. What is not named is everything of its kind. */
export interface Access {
  readonly verb: string;
  readonly group: string;
  readonly resource: string;
  readonly subresource?: string;
  readonly namespace?: string;
  readonly name?: string;
}

const review = z.object({ status: z.object({ allowed: z.boolean().default(false) }) });
const rules = z.object({
  status: z.object({
    resourceRules: z.array(
      z.object({
        verbs: z.array(z.string()),
        apiGroups: z.array(z.string()).default([]),
        resources: z.array(z.string()).default([]),
        resourceNames: z.array(z.string()).default([""]),
      }),
    ),
  }),
});

const RESOURCE_PATH =
  /^\/(?:api|apis\/(?<group>[^/]+))\/v[^/]+(?:\/namespaces\/(?<namespace>[^/]+)(?=\/))?\/(?<resource>[^/]+)(?:\/(?<name>[^/]+))?(?:\/(?<subresource>[^/]+))?$/;
const VERBS: Readonly<Record<string, string>> = { POST: "create", PUT: "update", PATCH: "patch", DELETE: "delete" };

/**
 * What the API server must allow for a request: it reads requests the same way. A server-side apply may make the object,
 * for which it must be allowed to create one of that name as well.
 *
 * @returns nothing for what is about no resource (`/version`)
 */
export function accessesOf({ method, path, query, isWatch }: ApiServerProxyRequest): Access[] {
  const { group = "", namespace, resource, name, subresource } = RESOURCE_PATH.exec(path)?.groups ?? {};
  if (resource === undefined) return [];
  const chosen = name ?? /^metadata\.name=([^,=]+)$/.exec(query.get("fieldSelector") ?? "")?.[1];
  const read = name === undefined ? "list" : "get";
  const verbs = isWatch ? ["watch"] : method === "PATCH" ? ["patch", "create"] : [VERBS[method] ?? read];
  return verbs.map(verb => ({
    verb,
    group,
    resource,
    ...(subresource === undefined ? {} : { subresource }),
    ...(namespace === undefined ? {} : { namespace }),
    ...(chosen === undefined ? {} : { name: chosen }),
  }));
}

/** An access in one line: `create serving.kserve.io/inferenceservices of namespace a named b`. */
export function describeAccess({ verb, group, resource, subresource, namespace, name }: Access): string {
  const what = [group, resource, subresource].filter(Boolean).join("/");
  const where = namespace === undefined ? "" : ` in ${namespace}`;
  return `${verb} ${what}${where}${name === undefined ? "" : ` named ${name}`}`;
}

/** Asks the API server whether the asker may do it (SelfSubjectAccessReview). */
export async function isAllowed(apiServer: ApiServer, access: Access): Promise<boolean> {
  const answer = await apiServer({
    method: "POST",
    path: "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews",
    body: {
      apiVersion: "authorization.k8s.io/v1",
      kind: "SelfSubjectAccessReview",
      spec: { resourceAttributes: access },
    },
  });
  return review.parse(answer.body).status.allowed;
}

/** All that the asker may do in a namespace, cluster-wide rights included, one line for each verb, resource and name. */
export async function grantedIn(apiServer: ApiServer, namespace: string): Promise<string[]> {
  const answer = await apiServer({
    method: "POST",
    path: "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews",
    body: { apiVersion: "authorization.k8s.io/v1", kind: "SelfSubjectRulesReview", spec: { namespace } },
  });
  return rules
    .parse(answer.body)
    .status.resourceRules.flatMap(({ verbs, apiGroups, resources, resourceNames }) =>
      apiGroups.flatMap(group =>
        resources.flatMap(resource =>
          resourceNames.flatMap(name =>
            verbs.map(verb => describeAccess({ verb, group, resource, ...(name === "" ? {} : { name }) })),
          ),
        ),
      ),
    )
    .filter(line => !/ (authentication|authorization)\.k8s\.io\/selfsubject/.test(line))
    .sort();
}
