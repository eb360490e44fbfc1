// The verbs, each in a file of its own name.
#pragma once

#include "verbs/verb.h"

namespace regraft {

const Verb& keep_verb();
const Verb& drop_verb();
const Verb& rename_verb();
const Verb& copy_verb();
const Verb& cat_verb();
const Verb& stack_verb();
const Verb& combine_verb();
const Verb& split_verb();
const Verb& unbind_verb();
const Verb& transpose_verb();
const Verb& permute_verb();
const Verb& reshape_verb();
const Verb& rearrange_verb();
const Verb& slice_verb();
const Verb& index_select_verb();
const Verb& pad_verb();
const Verb& interpolate_verb();
const Verb& cast_verb();
const Verb& use_verb();

}  // namespace regraft
