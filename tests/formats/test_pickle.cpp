#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "catch.h"
#include "formats/torch/pickle.h"
#include "formats/torch/pickle_opcodes.h"
#include "formats/torch/pickle_text.h"
#include "formats/torch/pickle_values.h"
#include "formats/torch/pickle_writer.h"

using namespace regraft;
using namespace std::string_literals;

namespace {

Result<PickleGraph> read(std::string stream, const Limits& limits = {}) {
  return read_pickle(std::move(stream), {"file.pt", 64, "archive/data.pkl"}, limits);
}

std::string shown(const std::string& stream) {
  Result<PickleGraph> graph = read(stream);
  if (!graph) return "error: " + graph.error().message;
  return summary(*graph, graph->root());
}

Code code_of(const std::string& stream, const Limits& limits = {}) {
  Result<PickleGraph> graph = read(stream, limits);
  REQUIRE_FALSE(graph.ok());
  CHECK(graph.error().where.file == "file.pt");
  CHECK(graph.error().where.offset.has_value());
  CHECK(graph.error().where.key == "archive/data.pkl");
  return graph.error().code;
}

bool reads(const std::string& stream, const Limits& limits = {}) {
  return read(stream, limits).ok();
}

std::string repeat(std::string_view text, std::size_t count) {
  std::string out;
  for (std::size_t i = 0; i < count; ++i) out += text;
  return out;
}

// One stream for each opcode that is accepted, with what comes out.
struct Sample {
  std::string stream, shown;
};
std::vector<Sample> samples() {
  return {
      {"N."s, "None"},
      {"\x80\x02N."s, "None"},
      {"\x88."s, "bool True"},
      {"\x89."s, "bool False"},
      {"I01\n."s, "bool True"},
      {"I00\n."s, "bool False"},
      {"I-7\n."s, "int -7"},
      {"I123456789012345678901234567890\n."s, "int 123456789012345678901234567890"},
      {"J\xff\xff\xff\xff."s, "int -1"},
      {"K\xff."s, "int 255"},
      {"M\x00\x01."s, "int 256"},
      {"L-12345678901234567890L\n."s, "int -12345678901234567890"},
      {"\x8a\x00."s, "int 0"},
      {"\x8a\x02\x00\xff."s, "int -256"},
      {"\x8a\x09\xff\xff\xff\xff\xff\xff\xff\xff\x00."s, "int 18446744073709551615"},
      {"\x8b\x01\x00\x00\x00\x05."s, "int 5"},
      {"F0.1\n."s, "float 0.1"},
      {"Finf\n."s, "float inf"},
      {"G\x3f\xf0\x00\x00\x00\x00\x00\x00."s, "float 1.0"},
      {"S'a\\x41\\n\\101'\n."s, "str 'aA\\x0aA'"},
      {"T\x02\x00\x00\x00hi."s, "str 'hi'"},
      {"U\x02hi."s, "str 'hi'"},
      {"Va\\u00e9\n."s, "str 'a\xc3\xa9'"},
      {"X\x02\x00\x00\x00hi."s, "str 'hi'"},
      {"\x8c\x02hi."s, "str 'hi'"},
      {"\x8d\x02\x00\x00\x00\x00\x00\x00\x00hi."s, "str 'hi'"},
      {"B\x02\x00\x00\x00hi."s, "bytes 'hi'"},
      {"C\x02hi."s, "bytes 'hi'"},
      {"\x8e\x02\x00\x00\x00\x00\x00\x00\x00hi."s, "bytes 'hi'"},
      {"\x96\x02\x00\x00\x00\x00\x00\x00\x00hi."s, "bytearray 'hi'"},
      {")."s, "tuple of 0"},
      {"(NNt."s, "tuple of 2"},
      {"N\x85."s, "tuple of 1"},
      {"NN\x86."s, "tuple of 2"},
      {"NNN\x87."s, "tuple of 3"},
      {"]."s, "list of 0"},
      {"(NNl."s, "list of 2"},
      {"]Na."s, "list of 1"},
      {"](NNe."s, "list of 2"},
      {"}."s, "dict of 0"},
      {"(K\x01NK\x02Nd."s, "dict of 2"},
      {"}K\x01Ns."s, "dict of 1"},
      {"}(K\x01NK\x02Nu."s, "dict of 2"},
      {"\x8f."s, "set of 0"},
      {"\x8f(NK\x01\x90."s, "set of 2"},
      {"(NK\x01\x91."s, "frozenset of 2"},
      {"cos\nsystem\n."s, "os.system"},
      {"\x8c\x02os\x8c\x06system\x93."s, "os.system"},
      {"cos\nsystem\n(U\x02idtR."s, "os.system"},
      {"cos\nsystem\n)\x81."s, "os.system"},
      {"cos\nsystem\n)}\x92."s, "os.system"},
      {"(U\x02idios\nsystem\n."s, "os.system"},
      {"(cos\nsystem\nU\x02ido."s, "os.system"},
      {"cos\nsystem\n)R}b."s, "os.system"},
      {"ccollections\nOrderedDict\n)R(K\x01Nu."s, "OrderedDict of 1"},
      {"cmy\nlist\n)RNa(NNe."s, "my.list"},
      {"Pabc\n."s, "a storage without a tensor"},
      {"K\x01Q."s, "a storage without a tensor"},
      {"NK\x01"
       "0."s,
       "None"},
      {"N(0."s, "None"},
      {"N(NN1."s, "None"},
      {"N2\x86."s, "tuple of 2"},
      {"Np0\n0g0\n."s, "None"},
      {"Nq\x00"
       "0h\x00."s,
       "None"},
      {"Nr\xff\xff\xff\xff"
       "0j\xff\xff\xff\xff."s,
       "None"},
      {"Np18446744073709551615\n0g18446744073709551615\n."s, "None"},
      {"N\x94"
       "0h\x00."s,
       "None"},
      {"\x80\x04\x95\x02\x00\x00\x00\x00\x00\x00\x00N."s, "None"},
      {"(NK\x01l."s, "list of 2"},
  };
}

}  // namespace

TEST_CASE("pickle: every opcode that is accepted") {
  for (const Sample& sample : samples()) {
    INFO(printable(sample.stream));
    CHECK(shown(sample.stream) == sample.shown);
  }
}

TEST_CASE("pickle: each limit at every value up to where the stream is read") {
  struct Sweep {
    std::uint64_t Limits::* member;
    std::uint64_t most;
  };
  constexpr Sweep kSweeps[] = {
      {&Limits::pickle_bytes, 200},        {&Limits::pickle_opcodes, 100},
      {&Limits::pickle_depth, 20},         {&Limits::pickle_stack, 50},
      {&Limits::pickle_memo, 20},          {&Limits::pickle_string_bytes, 50},
      {&Limits::pickle_integer_bytes, 50}, {&Limits::pickle_value_bytes, 3000},
  };
  std::vector<std::string> streams;
  for (const Sample& sample : samples()) {
    streams.push_back(sample.stream);
    // In a list in a dict, with values below it on the stack.
    std::string inner = sample.stream.substr(0, sample.stream.size() - 1);
    if (!inner.starts_with('\x80')) streams.push_back("NN}](" + inner + "e\x86\x87.");
  }
  for (const std::string& stream : streams)
    for (const Sweep& sweep : kSweeps) {
      INFO(printable(stream));
      std::uint64_t refused = 0;
      bool accepted = false, again = false;
      for (std::uint64_t value = 0; value <= sweep.most; ++value) {
        Limits limits;
        limits.*sweep.member = value;
        const Result<PickleGraph> graph = read(stream, limits);
        again = again || (accepted && !graph.ok());
        accepted = graph.ok();
        if (graph.ok()) continue;
        ++refused;
        if (graph.error().code != Code::limit_exceeded) FAIL(graph.error().message);
      }
      CHECK_FALSE(again);  // what is read with less is read with more
      CHECK(accepted);
      if (sweep.member == &Limits::pickle_bytes) CHECK(refused == stream.size());
    }
}

TEST_CASE("pickle: every stream that is cut anywhere is an error") {
  for (const Sample& sample : samples())
    for (std::size_t size = 0; size < sample.stream.size(); ++size) {
      INFO(printable(sample.stream) << " cut to " << size);
      CHECK(code_of(sample.stream.substr(0, size)) == Code::pickle_corrupt);
    }
}

TEST_CASE("pickle: every byte as the first, second and third opcode ends in a value or an error") {
  for (std::string before : {""s, "N"s, "("s, "NN"s, "(N"s, "})"s, "]("s})
    for (int byte = 0; byte < 256; ++byte)
      for (std::string after :
           {""s, "."s, "\n\n."s, "\0\0\0\0\0\0\0\0."s, "\xff\xff\xff\xff\xff\xff\xff\xff"s})
        (void)read(before + static_cast<char>(byte) + after);
}

TEST_CASE("pickle: opcodes without their values or MARK are errors") {
  for (std::string stream :
       {"."s, "0."s, "1."s, "2."s, "(."s, "a."s, "Na."s, "e."s, "(e."s, "s."s, "}Ns."s, "u."s,
        "(u."s, "\x90."s, "(\x90."s, "t."s, "\x85."s, "N\x86."s, "NN\x87."s, "l."s, "d."s, "\x91."s,
        "R."s, "NR."s, "\x81."s, "\x92."s, "b."s, "Nb."s, "o."s, "(o."s, "ios\nsystem\n."s,
        "\x93."s, "Q."s, "q\x00."s, "p0\n."s, "r\0\0\0\0."s, "\x94."s, "h\x00."s, "g0\n."s,
        "j\0\0\0\0."s,
        // Values below a MARK are out of reach.
        "N(\x85."s, "NN(\x86."s, "](a."s, "N(2."s, "N(q\x00."s}) {
    INFO(printable(stream));
    CHECK(code_of(stream) == Code::pickle_corrupt);
  }
}

TEST_CASE("pickle: operands are checked") {
  for (std::string stream :
       {// Longer than the stream: compared before anything is allocated.
        "X\xff\xff\xff\xff"s, "\x8e\xff\xff\xff\xff\xff\xff\xff\x7f"s,
        "\x8d\xff\xff\xff\xff\xff\xff\xff\xff"s, "\x96\xff\xff\xff\xff\xff\xff\xff\xff"s,
        "T\xff\xff\xff\xff."s, "\x8b\xff\xff\xff\xff."s,
        // Wrong text.
        "I\n."s, "I1x\n."s, "I0x10\n."s, "L\n."s, "LL\n."s, "Fx\n."s, "F\n."s, "F1 \n."s,
        "Sabc\n."s, "S'abc\n."s, "S'\\x4'\n."s, "V\\u12\n."s, "V\\U00110000\n."s,
        "X\x01\x00\x00\x00\xff."s, "c\xff\nx\n."s, "Np-1\n."s, "Np18446744073709551616\n."s,
        "Np\n."s,
        // Wrong types.
        "NN\x93."s,
        "C\x01"
        "aC\x01"
        "b\x93."s,
        "K\x01K\x02\x93."s, "N)R."s, "cos\nsystem\nNR."s, "cos\nsystem\n))\x92."s, "(No."s, "]}b."s,
        "}}b."s, "cos\nsystem\n}b."s, "}Na."s, ")Na."s, "\x8fNa."s, "]NNs."s, "](NNu."s, "}(Nu."s,
        "(Nd."s, "](N\x90."s, "cos\nx\n)R}b}b."s,
        // The stream.
        ""s, "N"s, "N.N"s, "NN."s, "(N."s, "N\x80\x02."s, "\x80\x06N."s, "\xff."s, "\x82\x01."s,
        "\x83\x01\x00."s, "\x84\x01\x00\x00\x00."s, "\x97."s, "N\x98."s,
        // Frames.
        "\x95\xff\x00\x00\x00\x00\x00\x00\x00N."s,
        "\x95\x01\x00\x00\x00\x00\x00\x00\x00M\x01\x00."s,
        "\x95\x0a\x00\x00\x00\x00\x00\x00\x00\x95\x01\x00\x00\x00\x00\x00\x00\x00N."s}) {
    INFO(printable(stream));
    CHECK(code_of(stream) == Code::pickle_corrupt);
  }
  CHECK(reads("\x95\x02\x00\x00\x00\x00\x00\x00\x00K\x01."s));  // the frame ends before STOP
}

TEST_CASE("pickle: an error says where") {
  Result<PickleGraph> graph = read("\x80\x02NNN.");
  REQUIRE_FALSE(graph.ok());
  CHECK(graph.error().where.offset == 64 + 5);
  CHECK(graph.error().message == "STOP with 3 values on the stack and 0 marks; one value is right");
}

TEST_CASE("pickle: limits hold at the limit and not one past it") {
  auto check = [](auto set, const std::string& at, const std::string& past) {
    Limits limits;
    set(limits);
    CHECK(reads(at, limits));
    CHECK(code_of(past, limits) == Code::limit_exceeded);
  };
  check([](Limits& l) { l.pickle_bytes = 2; }, "N.", "N0N.");
  check([](Limits& l) { l.pickle_opcodes = 4; }, "N0N.", "N0N0N.");
  check([](Limits& l) { l.pickle_stack = 3; }, "NNN00.", "NNNN000.");
  check([](Limits& l) { l.pickle_stack = 3; }, "(((111N.", "((((1111N.");
  check([](Limits& l) { l.pickle_memo = 2; }, "Nq\x01q\x02.", "Nq\x01q\x02q\x03.");
  check([](Limits& l) { l.pickle_memo = 2; }, "N\x94\x94.", "N\x94\x94\x94.");
  check([](Limits& l) { l.pickle_memo = 1; }, "Nr\xff\xff\xff\xffr\xff\xff\xff\xff.",
        "Nr\xff\xff\xff\xffr\xfe\xff\xff\xff.");
  check([](Limits& l) { l.pickle_string_bytes = 2; }, "U\x02hi.", "U\x03hi!.");
  check([](Limits& l) { l.pickle_string_bytes = 2; }, "T\x02\0\0\0hi."s, "T\x03\0\0\0hi!."s);
  check([](Limits& l) { l.pickle_string_bytes = 4; }, "S'hi'\n.", "S'hi!'\n.");
  check([](Limits& l) { l.pickle_integer_bytes = 2; }, "\x8a\x02\1\1.", "\x8a\x03\1\1\1.");
  check([](Limits& l) { l.pickle_integer_bytes = 2; }, "\x8b\x02\0\0\0\1\1."s,
        "\x8b\x03\0\0\0\1\1\1."s);
  check([](Limits& l) { l.pickle_integer_bytes = 2; }, "L12L\n.", "L123L\n.");
  check([](Limits& l) { l.pickle_depth = 3; }, "N\x85\x85\x85.", "N\x85\x85\x85\x85.");
  check([](Limits& l) { l.pickle_depth = 3; }, "]]]aa.", "]]]]aaa.");
  check([](Limits& l) { l.pickle_value_bytes = 24 * 10; }, repeat("N0", 9) + "N.",
        repeat("N0", 10) + "N.");
  // The default depth.
  CHECK(reads("N" + repeat("\x85", 1000) + "."));
  CHECK(code_of("N" + repeat("\x85", 1001) + ".") == Code::limit_exceeded);
}

TEST_CASE("pickle: aliases and cycles stay true") {
  // [a, a] with a changed after it was put in.
  Result<PickleGraph> graph = read(
      "](]q\x01h\x01"
      "eh\x01Na0.");
  REQUIRE(graph.ok());
  auto items = graph->items(graph->root());
  REQUIRE(items.size() == 2);
  CHECK(items[0] == items[1]);
  CHECK(graph->items(items[0]).size() == 1);

  graph = read(
      "]q\x00h\x00"
      "a."s);
  REQUIRE(graph.ok());
  CHECK(graph->items(graph->root())[0] == graph->root());

  // A "billion laughs" is a small graph.
  std::string laughs = "N";
  for (int i = 0; i < 500; ++i) laughs += "2\x86";
  CHECK(reads(laughs + "."));
}

TEST_CASE("pickle: PUT and MEMOIZE number as Python does") {
  // The memo has one entry, at 5, so MEMOIZE writes 1.
  Result<PickleGraph> graph = read("K\x07q\x05K\x08\x94h\x05h\x01\x86\x87.");
  REQUIRE(graph.ok());
  auto last = graph->items(graph->items(graph->root())[2]);
  CHECK(graph->integer(last[0]) == 7);
  CHECK(graph->integer(last[1]) == 8);
}

TEST_CASE("pickle: text that is not UTF-8") {
  // Surrogates may stand in a text; strings of Python 2 are any bytes.
  Result<PickleGraph> graph = read("X\x03\0\0\0\xed\xa0\x80."s);
  REQUIRE(graph.ok());
  CHECK(graph->text(graph->root()) == "\xed\xa0\x80");
  graph = read("V\\ud800\n.");
  REQUIRE(graph.ok());
  CHECK(graph->text(graph->root()) == "\xed\xa0\x80");
  graph = read("U\x01\xff.");
  REQUIRE(graph.ok());
  CHECK(graph->text(graph->root()) == "\xff");
}

TEST_CASE("pickle: integers of any size as decimal and back") {
  for (std::string text :
       {"0"s, "1"s, "-1"s, "127"s, "128"s, "-128"s, "-129"s, "255"s, "256"s, "9223372036854775807"s,
        "-9223372036854775808"s, "9223372036854775808"s, "-9223372036854775809"s,
        "18446744073709551616"s, "123456789012345678901234567890123456789"s}) {
    std::optional<std::string> bytes = parse_decimal(text);
    REQUIRE(bytes);
    CHECK(to_decimal(*bytes) == text);
    CHECK(std::string(shortest_integer(*bytes)) == *bytes);
    if (bytes->size() <= 8) CHECK(std::to_string(small_integer(*bytes)) == text);
  }
  CHECK_FALSE(parse_decimal("--1"));
  CHECK(parse_decimal("-0") == "");
}

TEST_CASE("pickle: keys that Python holds for equal") {
  auto twice = [](const std::string& items) {
    Result<PickleGraph> graph = read("}(" + items + "u.");
    REQUIRE(graph.ok());
    return duplicate_key(*graph, graph->pairs(graph->root())).has_value();
  };
  const std::string one = "K\x01N", yes = "\x88N", one_point = "G\x3f\xf0\0\0\0\0\0\0N"s;
  CHECK(twice(one + one));
  CHECK(twice(one + yes));
  CHECK(twice(yes + one_point));
  CHECK(twice(one + one_point));
  CHECK(
      twice("U\x01"
            "aN\x8c\x01"
            "aN"));
  CHECK(twice("NNNN"));
  CHECK(twice("K\x00NG\x80\0\0\0\0\0\0\0N"s));                                  // 0 and -0.0
  CHECK(twice("L1267650600228229401496703205376L\nNG\x46\x30\0\0\0\0\0\0N"s));  // 2**100
  CHECK(twice("K\x01K\x02\x86N\x88K\x02\x86N"));                                // (1, 2), (True, 2)
  CHECK(twice("K\x01NK\x02NK\x03NK\x04NK\x05NK\x06NK\x07NK\x08NK\x09NK\x01N"));
  CHECK_FALSE(
      twice("U\x01"
            "1N" +
            one));
  CHECK_FALSE(
      twice("U\x01"
            "aNC\x01"
            "aN"));
  CHECK_FALSE(twice("G\x7f\xf8\0\0\0\0\0\0NG\x7f\xf8\0\0\0\0\0\0N"s));  // two NaN
  CHECK_FALSE(twice(one + "K\x02N"));
}

TEST_CASE("pickle: what PickleWriter writes is read again") {
  PickleWriter writer;
  std::vector<std::int64_t> numbers = {0,
                                       255,
                                       256,
                                       65535,
                                       65536,
                                       2147483647,
                                       2147483648,
                                       -1,
                                       -2147483648,
                                       -2147483649,
                                       9223372036854775807};
  writer.integers(numbers);
  Result<PickleGraph> graph = read(writer.finish());
  REQUIRE(graph.ok());
  auto items = graph->items(graph->root());
  REQUIRE(items.size() == numbers.size());
  for (std::size_t i = 0; i < numbers.size(); ++i) CHECK(graph->integer(items[i]) == numbers[i]);

  PickleWriter shared;
  shared.op(Opcode::mark);
  for (int i = 0; i < 600; ++i) shared.shared_text("text " + std::to_string(i % 300));
  shared.op(Opcode::tuple);
  graph = read(shared.finish());
  REQUIRE(graph.ok());
  items = graph->items(graph->root());
  REQUIRE(items.size() == 600);
  CHECK(items[299] == items[599]);
  CHECK(graph->text(items[299]) == "text 299");
}
