// Renames the tensors of one file into another: plain SOURCE OUTPUT.
#include <regraft/regraft.h>

#include <iostream>

int main(int argc, char** argv) {
  if (argc != 3) return 2;
#ifdef RULES
  auto spec = regraft::MigrationSpec::from_text(
      "regraft: 1\nrules: [{use: strip-wrappers}, {rename: '^', to: 'net.'}]\n");
  spec.rules_folder(RULES);
#else
  const auto spec =
      regraft::MigrationSpec::from_text("regraft: 1\nrules: [{rename: '^', to: 'net.'}]\n");
#endif
  const regraft::MigrationReport report = regraft::apply(spec, argv[1], argv[2]);
  std::cout << report.text();
  return report.exit_status();
}
