import * as z from "zod";
import type { Log } from "../observability/logging";
import { messageOf } from "../observability/logging";
import type { ApiServer } from "./api-server";

const reviewed = z.object({ status: z.object({ userInfo: z.object({ username: z.string().min(1) }) }) });

/**
 * Asks the API server who we are (SelfSubjectReview, which everybody may): the name that admission will see on our
 * requests.
 *
 * @returns undefined when it cannot be had, which is logged
 */
export async function readOwnUsername(apiServer: ApiServer, log: Log): Promise<string | undefined> {
  try {
    const answer = await apiServer({
      method: "POST",
      path: "/apis/authentication.k8s.io/v1/selfsubjectreviews",
      body: { apiVersion: "authentication.k8s.io/v1", kind: "SelfSubjectReview" },
    });
    return reviewed.parse(answer.body).status.userInfo.username;
  } catch (error) {
    log.warn(
      { cause: messageOf(error) },
      "The module's own identity is not known; admission goes by labels and names alone",
    );
    return undefined;
  }
}
