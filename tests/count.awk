# Counts the cases in ctest's LastTest.log: those that GoogleTest reports, and a program that reports none as one case.
# Prints the reasons of skips, then "57 passed, 0 failed, 2 skipped"; exit status 1 if anything failed. The variable
# status is ctest's.
/^[0-9]+\/[0-9]+ Test: / { test = $3; cases = 0; failures = 0; inside = 0; text = "" }
/^Output:$/ { inside = 1; next }
/^<end of output>$/ { inside = 0 }
inside && /^\[       OK \] .*\([0-9]+ ms\)$/ { passed++; cases++; text = ""; next }
inside && /^\[  FAILED  \] .*\([0-9]+ ms\)$/ { failed++; failures++; cases++; text = ""; next }
inside && /^\[  SKIPPED \] .*\([0-9]+ ms\)$/ {
  skipped++
  cases++
  print "skipped: " test ": " $4 ": " text
  text = ""
  next
}
inside && NF > 0 { text = $0 }
# ctest calls a skipped program passed; its last line tells.
/^Test (Passed\.|Pass Reason:)$/ {
  if (cases == 0 && text ~ /^skipped: /) {
    skipped++
    print "skipped: " test substr(text, 8)
  } else if (cases == 0) {
    passed++
  }
}
/^Test Failed\.$/ { if (failures == 0) failed++ }
END {
  if (status > 0 && failed == 0) failed = 1  # a program that could not be started leaves nothing here
  printf "%d passed, %d failed, %d skipped\n", passed, failed, skipped
  exit failed > 0
}
