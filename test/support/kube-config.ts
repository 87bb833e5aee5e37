import { KubeConfig } from "@kubernetes/client-node";

/** The connection that a kubeconfig file describes. */
export function kubeConfigFrom(file: string): KubeConfig {
  const kubeConfig = new KubeConfig();
  kubeConfig.loadFromFile(file);
  return kubeConfig;
}
