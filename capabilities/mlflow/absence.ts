import { MlflowError } from "./errors";

/**
 * Only MLflow's own error code is a positive answer; a 404 from a proxy or a wrong path is not.
 *
 * @param isAbout whether its message is about what was asked for
 */
export async function orDoesNotExist(
  answer: Promise<unknown>,
  isAbout: (message: string) => boolean = () => true,
): Promise<unknown> {
  try {
    return await answer;
  } catch (error) {
    if (!(error instanceof MlflowError) || error.kind !== "refused") throw error;
    const { code, facts } = error;
    const isMissing = code === "RESOURCE_DOES_NOT_EXIST" && (facts.status ?? 404) === 404;
    if (isMissing && isAbout(facts.reason ?? "")) return undefined;
    throw error;
  }
}

/**
 * Whether MLflow says of a model or a version that it does not exist. Its authentication has the same code for a user, a
 * role or a permission that is gone (server/auth/sqlalchemy_store.py), which says nothing about any version.
 */
export function isAboutVersion(message: string): boolean {
  return /^\W*(the )?(registered[ _]?model|model[ _]?version|model|version)\b(?! permission)/i.test(message);
}
