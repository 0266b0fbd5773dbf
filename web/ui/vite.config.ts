import { defineConfig } from "vitest/config";

// Two doors, two bundles: what the prospect's page loads holds no coaching code.
export default defineConfig({
  build: {
    target: "es2022",
    outDir: "dist",
    emptyOutDir: true,
    rollupOptions: { input: { index: "index.html", join: "join.html" } },
  },
  server: { host: "127.0.0.1" },
  test: { include: ["tests/**/*.test.ts"] },
});
