// The verbs, each in a file of its own name.
#pragma once

#include "verbs/verb.h"

namespace regraft {

const Verb& keep_verb();
const Verb& drop_verb();
const Verb& rename_verb();
const Verb& copy_verb();

}  // namespace regraft
