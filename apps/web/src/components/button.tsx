import type { ButtonHTMLAttributes } from "react";

type Props = ButtonHTMLAttributes<HTMLButtonElement> & { look?: "plain" | "primary" | "danger" };

export function Button({ look = "plain", type = "button", ...rest }: Props) {
  return <button type={type} className={`button ${look}`} {...rest} />;
}
