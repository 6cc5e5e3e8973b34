import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { App } from "./app/app.tsx";
import { signInByLink } from "./lib/sign-in.ts";
import { allowStyles } from "./lib/style-nonce.ts";
import "./styles.css";

const root = document.getElementById("root");
if (!root) throw new Error("index.html has no #root.");
allowStyles();
await signInByLink();
createRoot(root).render(
  <StrictMode>
    <App />
  </StrictMode>,
);
