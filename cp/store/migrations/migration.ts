/** One numbered step of the platform's own tables. Once released its statements never change. */
export interface Migration {
  /** `001_change_log`: the number orders, the rest says what for. */
  readonly name: string;
  readonly statements: readonly string[];
}
