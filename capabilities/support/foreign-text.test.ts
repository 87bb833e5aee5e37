import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { foreignText, withoutSecrets } from "./foreign-text";

const JWT = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJzeXN0ZW0ifQ.c2lnbmF0dXJl";

describe("foreignText", () => {
  it.each([
    [
      "errors:\n  .spec.a: expected list\n  .spec.b: not declared",
      "errors: .spec.a: expected list .spec.b: not declared",
    ],
    [
      "must match '^([+-]?[0-9.]+)$', write to me@example.com",
      "must match '^([+-]?[0-9.]+)$', write to me@example.com",
    ],
    ["x".repeat(2000), `${"x".repeat(599)}…`],
  ])("of %j is %j", (text, told) => {
    expect(foreignText(text)).toBe(told);
  });

  it("shows no half of a secret where it cuts", () => {
    const text = `s3://bucket/model?${"X".repeat(7_900)} password=${"geheim".repeat(50)}`;
    expect(foreignText(text)).toBe("s3://bucket/model?*** …");
  });
});

describe("withoutSecrets", () => {
  it.each([
    ["no access to s3://key:geheim@host/a", "no access to s3://***@host/a"],
    ['Get "https://host/a?X-Amz-Signature=geheim": EOF', 'Get "https://host/a?***": EOF'],
    ["at https://host/callback#access_token=geheim", "at https://host/callback#***"],
    ["headers {'Authorization': 'Bearer geheim'}", "headers {'Authorization': '***'}"],
    ["Authorization: Basic Z2VoZWltOng=", "Authorization: ***"],
    ["got: Bearer geheim123", "got: Bearer ***"],
    ["X-Auth-Token: geheim, retrying", "X-Auth-Token: ***, retrying"],
    ["/bucket/key?AWSAccessKeyId=geheim&Signature=geheim&x=1", "/bucket/key?AWSAccessKeyId=***&Signature=***&x=1"],
    ["blob?sv=2024&sig=geheim%3D denied", "blob?sv=2024&sig=*** denied"],
    ["AccountName=a;AccountKey=geheim==;Suffix=b", "AccountName=a;AccountKey=***;Suffix=b"],
    ['{"client_secret": "geheim", "user": "me"}', '{"client_secret": ***, "user": "me"}'],
    ["connect(password='geheim', host='db')", "connect(password=***, host='db')"],
    ["export HF_TOKEN=geheim", "export HF_TOKEN=***"],
    [`the token ${JWT} has expired`, "the token *** has expired"],
    ["key AKIAIOSFODNN7EXAMPLE is unknown", "key *** is unknown"],
    ["cloning with ghp_0123456789abcdefghij0123456789abcdef", "cloning with ***"],
    ["HF_TOKEN: SEKRETsekret0123", "HF_TOKEN: ***"],
    ["https://user:p@geheim@host/", "https://***@host/"],
    ["no wasbs://container@account.blob.core.windows.net/x", "no wasbs://container@account.blob.core.windows.net/x"],
    ["fs.s3a.secret.key=geheim in core-site.xml", "fs.s3a.secret.key=*** in core-site.xml"],
    ["fs.azure.account.key.a.blob.core.windows.net=geheim==", "fs.azure.account.key.a.blob.core.windows.net=***"],
    ["Cookie: a=1; session=geheim", "Cookie: ***"],
    ["headers {'Cookie': 'a=b; _oauth2_proxy=geheim', 'x': 'y'}", "headers {'Cookie': ***, 'x': 'y'}"],
    ["Authorization: SharedKey account:geheim", "Authorization: ***"],
    ["[('Authorization', 'Bearer geheim')]", "[('Authorization', '***')]"],
    ['{"body": "{\\"client_secret\\":\\"geheim\\"}"}', '{"body": "{\\"client_secret\\":***}"}'],
    ["MLFLOW_TRACKING_PASSWORD: geheim1", "MLFLOW_TRACKING_PASSWORD: ***"],
    ["password: 'geheim', user: 'me'", "password: ***, user: 'me'"],
    ["password: hunter2a", "password: ***"],
    ["url=https%3A%2F%2Fuser%3Ageheim%40host", "url=https%3A%2F%2F***%40host"],
    ["X-Amz-Signature%3Dgeheim%26x", "X-Amz-Signature%3D***"],
    ['the api key is "0123456789abcdef0123"', 'the api key is "***"'],
    ["api-key: 0123456789abcdef0123 was refused", "api-key: *** was refused"],
    ["access_token SEKRETsekret0123 expired", "access_token *** expired"],
    ["mc --password geheim --user me", "mc --password *** --user me"],
    ["curl -u admin:geheim http://x", "curl -u admin:*** http://x"],
    ["https://host/path;jsessionid=geheim?x", "https://host/path;jsessionid=***?***"],
    ["-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----\n", "***\n"],
  ])("of %j is %j", (text, told) => {
    expect(withoutSecrets(text)).toBe(told);
    expect(withoutSecrets(told)).toBe(told);
  });

  it.each([
    "the header X-MLflow-Signature is missing: give MLflow's webhook a secret",
    "MLFLOW_KSERVE_MLFLOW_WEBHOOK_SECRET: must have at least 16 characters",
    "Basic authentication with a bearer token is asked for",
    "the tag deploy=true; max_tokens=512 tokenizer=bert",
    "check the password: MLflow refused it; the token of kserve-mlflow-models-2 is gone; secret: not found in 3 places",
    "no secret s3credentials, private key id or token 2 was given",
    "the secret mlflow-s3-credentials-2 of kserve-mlflow-models is missing; token authentication-with-2-factors",
    "a token --with options -u mlflow",
    "s3://models/iris/ on node ip-10-0-0-1, since 2026-01-02T03:04:05Z",
  ])("leaves %j", text => {
    expect(withoutSecrets(text)).toBe(text);
  });

  it("changes nothing more the second time", () => {
    fc.assert(
      fc.property(
        fc.array(fc.constantFrom("token=", '"', "'", ":", " ", "a", "?", "Bearer ", "://", "@", "***", "=")),
        parts => {
          const once = withoutSecrets(parts.join(""));
          expect(withoutSecrets(once)).toBe(once);
        },
      ),
    );
  });

  it("is not cut in the middle of a character, and has no half of one", () => {
    for (let length = 595; length < 605; length++) {
      const told = foreignText(`${"x".repeat(length)}\u{1F600} and more of it`);
      expect(told).not.toMatch(/\p{Surrogate}/u);
    }
    expect(foreignText("a \ud83d b")).toBe("a \ufffd b");
  });
});
