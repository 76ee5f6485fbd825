// Tables whose content is known from the module alone: own ones that nothing exports or changes and that active
// segments of functions fill. A call through such a table finds the code in a constant of the image, in one load
// instead of two dependent ones; whatever is not in it takes the ordinary way (calls.cpp).
#pragma once
#include <optional>
#include <vector>

#include "jit/lower/unit.h"

namespace tenon::jit {

struct ModulePlan;

// The functions of a table; kNoFunction: null.
inline constexpr u32 kNoFunction = ~u32{0};
using TableContent = std::vector<u32>;

// By table. `changed`: tables that instructions may change, which is to be known of all code.
std::vector<std::optional<TableContent>> known_tables(const Module& module, const std::vector<bool>& changed);

// Rows of an image's dispatch table: {i32 code offset from the table's start, i32 type}.
inline constexpr u64 kDispatchRow = 8;
// The number that a type index has in dispatch tables: equal for equal types.
u32 dispatch_type(const Module& module, TypeId type);
// The constant of a known table, as units that call through it declare it.
llvm::GlobalVariable* declare_dispatch_table(Unit& unit, const ModulePlan& plan, u32 table);
// Defines all of them. For one unit of an image.
void define_dispatch_tables(Unit& unit, const ModulePlan& plan);

}  // namespace tenon::jit
