import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";

/** No inlined assets: the page's policy allows nothing but files of its own origin. */
export default defineConfig({
  root: import.meta.dirname,
  plugins: [react()],
  build: { target: "es2023", assetsInlineLimit: 0, modulePreload: { polyfill: false } },
  logLevel: "warn",
});
