import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Certificates } from "./certificates";
import { ClusterApi } from "./cluster-api";
import { goBinaries, goBuildKey, type GoProgram } from "./go-binaries";
import { isCached } from "./cache";
import { kubeconfigText } from "./kubeconfig";
import { freePort } from "./ports";
import { kubebuilderAsset } from "./prerequisites";
import { answersOk } from "./probe";
import type { Run } from "./run";

const READY_WITHIN_SECONDS = 60;

const PROGRAMS: readonly GoProgram[] = [
  { packagePath: "go.etcd.io/etcd/server/v3", binary: "etcd" },
  { packagePath: "k8s.io/kubernetes/cmd/kube-apiserver", binary: "kube-apiserver" },
  { packagePath: "k8s.io/kubernetes/cmd/kube-controller-manager", binary: "kube-controller-manager" },
  { packagePath: "k8s.io/kubernetes/cmd/kube-scheduler", binary: "kube-scheduler" },
  { packagePath: "k8s.io/kubernetes/cmd/kubectl", binary: "kubectl" },
];

const KUBEBUILDER_PROGRAMS = ["etcd", "kube-apiserver", "kubectl"];

/** Where the control plane's programs are. */
export type KubernetesPrograms = (program: string) => string;

function programsToBuild(): readonly GoProgram[] {
  return PROGRAMS.filter(({ binary }) => !KUBEBUILDER_PROGRAMS.includes(binary) || !kubebuilderAsset(binary));
}

/** Whether nothing of the control plane has to be compiled. */
export function controlPlaneIsBuilt(): boolean {
  return isCached("kubernetes", goBuildKey({ module: "kubernetes", programs: programsToBuild() }));
}

/** Builds etcd and Kubernetes, or finds them in the cache; KUBEBUILDER_ASSETS goes first for what it has. */
export async function kubernetesPrograms(progress: (message: string) => void): Promise<KubernetesPrograms> {
  const programs = programsToBuild();
  const build = { module: "kubernetes" as const, programs, versionOf: "k8s.io/kubernetes" };
  const directory = await goBinaries(build, progress);
  const built = new Set(programs.map(({ binary }) => binary));
  return program => (built.has(program) ? undefined : kubebuilderAsset(program)) ?? join(directory, program);
}

/** A control plane that answers. */
export interface ControlPlane {
  readonly kubeconfig: string;
  readonly kubectl: string;
  readonly api: ClusterApi;
  /** Starts kube-controller-manager and kube-scheduler, which nothing but pods has to wait for. */
  startControllers: () => Promise<void>;
}

/** Starts etcd and kube-apiserver; returns when the API answers. */
export async function startApiServer(
  run: Run,
  programs: KubernetesPrograms,
  certificates: Certificates,
): Promise<ControlPlane> {
  const files = writeFiles(run.directory, certificates);
  const [etcdPort, etcdPeerPort, apiPort] = [await freePort(), await freePort(), await freePort()];
  const etcdUrl = `http://127.0.0.1:${etcdPort}`;
  const apiUrl = `https://127.0.0.1:${apiPort}`;
  const kubeconfig = join(run.directory, "kubeconfig");
  writeFileSync(kubeconfig, kubeconfigText(apiUrl, certificates), { mode: 0o600 });
  const etcdPeerUrl = `http://127.0.0.1:${etcdPeerPort}`;
  // Both at once: the API server waits for etcd by itself.
  await Promise.all([
    run.start({
      name: "etcd",
      command: programs("etcd"),
      arguments: [
        `--data-dir=${join(run.directory, "etcd")}`,
        `--listen-client-urls=${etcdUrl}`,
        `--advertise-client-urls=${etcdUrl}`,
        `--listen-peer-urls=${etcdPeerUrl}`,
        `--initial-advertise-peer-urls=${etcdPeerUrl}`,
        `--initial-cluster=default=${etcdPeerUrl}`,
        "--unsafe-no-fsync", // the data does not outlive the run
      ],
      directory: run.directory,
      isReady: () => answersOk(`${etcdUrl}/readyz`),
      readyWithinSeconds: READY_WITHIN_SECONDS,
    }),
    run.start({
      name: "kube-apiserver",
      command: programs("kube-apiserver"),
      arguments: [
        `--etcd-servers=${etcdUrl}`,
        "--bind-address=127.0.0.1",
        `--secure-port=${apiPort}`,
        // Pods here are not real, so nobody needs the endpoints of the Service "kubernetes", which may not be loopback.
        "--advertise-address=127.0.0.1",
        "--endpoint-reconciler-type=none",
        `--tls-cert-file=${files.serverCertificate}`,
        `--tls-private-key-file=${files.serverKey}`,
        `--client-ca-file=${files.authority}`,
        `--service-account-key-file=${files.serviceAccountPublicKey}`,
        `--service-account-signing-key-file=${files.serviceAccountKey}`,
        "--service-account-issuer=https://kubernetes.default.svc",
        "--service-cluster-ip-range=10.96.0.0/12", // room for thousands of Services
        "--authorization-mode=RBAC",
        // By a namespace's annotations its pods go to the node that runs predictors.
        "--enable-admission-plugins=PodNodeSelector,PodTolerationRestriction",
        "--allow-privileged=true",
      ],
      directory: run.directory,
      isReady: () => answersOk(`${apiUrl}/readyz`, certificates.authority.certificate),
      readyWithinSeconds: READY_WITHIN_SECONDS,
    }),
  ]);
  return {
    kubeconfig,
    kubectl: programs("kubectl"),
    api: new ClusterApi(apiUrl, certificates),
    startControllers: () => startControllers(run, programs, kubeconfig, files, certificates.authority.certificate),
  };
}

async function startControllers(
  run: Run,
  programs: KubernetesPrograms,
  kubeconfig: string,
  files: Files,
  authority: string,
): Promise<void> {
  const common = async (): Promise<{ port: number; args: string[] }> => {
    const port = await freePort();
    const args = [
      `--kubeconfig=${kubeconfig}`,
      "--bind-address=127.0.0.1",
      `--secure-port=${port}`,
      `--tls-cert-file=${files.serverCertificate}`,
      `--tls-private-key-file=${files.serverKey}`,
      "--leader-elect=false",
      // The defaults are meant for clusters that other people share; a load test here wants its pods now.
      "--kube-api-qps=200",
      "--kube-api-burst=400",
    ];
    return { port, args };
  };
  const [manager, scheduler] = [await common(), await common()];
  await Promise.all([
    run.start({
      name: "kube-controller-manager",
      command: programs("kube-controller-manager"),
      arguments: [
        ...manager.args,
        `--service-account-private-key-file=${files.serviceAccountKey}`,
        `--root-ca-file=${files.authority}`,
      ],
      directory: run.directory,
      isReady: () => answersOk(`https://127.0.0.1:${manager.port}/healthz`, authority),
      readyWithinSeconds: READY_WITHIN_SECONDS,
    }),
    run.start({
      name: "kube-scheduler",
      command: programs("kube-scheduler"),
      arguments: scheduler.args,
      directory: run.directory,
      isReady: () => answersOk(`https://127.0.0.1:${scheduler.port}/healthz`, authority),
      readyWithinSeconds: READY_WITHIN_SECONDS,
    }),
  ]);
}

type Files = ReturnType<typeof writeFiles>;

function writeFiles(runDirectory: string, { authority, server, serviceAccountKeys }: Certificates) {
  const directory = join(runDirectory, "certificates");
  mkdirSync(directory, { mode: 0o700 });
  const write = (name: string, text: string): string => {
    writeFileSync(join(directory, name), text, { mode: 0o600 });
    return join(directory, name);
  };
  return {
    authority: write("authority.crt", authority.certificate),
    serverCertificate: write("server.crt", server.certificate),
    serverKey: write("server.key", server.privateKey),
    serviceAccountKey: write("service-accounts.key", serviceAccountKeys.privateKey),
    serviceAccountPublicKey: write("service-accounts.pub", serviceAccountKeys.publicKey),
  };
}
