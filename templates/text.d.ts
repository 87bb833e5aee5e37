// Files that the bundle holds as text: esbuild, as Pepr configures it, loads .txt that way and nothing else.
declare module "*.txt" {
  const text: string;
  export default text;
}
