import tseslint from "typescript-eslint";

export default tseslint.config(
  { ignores: ["dist/", "node_modules/", ".cache/"] },
  {
    files: ["**/*.ts", "**/*.tsx", "**/*.mts"],
    extends: [tseslint.configs.strictTypeChecked, tseslint.configs.stylisticTypeChecked],
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: {
      // Numbers read well in messages and cannot surprise.
      "@typescript-eslint/restrict-template-expressions": ["error", { allowNumber: true }],
      "@typescript-eslint/switch-exhaustiveness-check": "error",
      "@typescript-eslint/consistent-type-imports": "error",
      // Interfaces here are bags of functions, often taken apart; declared as properties they are checked strictly and
      // need no `this`.
      "@typescript-eslint/method-signature-style": ["error", "property"],
    },
  },
  // Classes of a library are declared as it has them.
  { files: ["**/*.d.ts"], rules: { "@typescript-eslint/method-signature-style": "off" } },
);
