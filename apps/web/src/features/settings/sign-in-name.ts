/** Of every field in which a sign-in name is typed: the rule that the service checks, said by the browser beforehand. */
export const signInNameInput = {
  required: true,
  minLength: 3,
  maxLength: 100,
  pattern: "[\\w.@+\\-]+",
  title: "Letters, digits and . _ - @ +",
  autoCapitalize: "none",
} as const;
