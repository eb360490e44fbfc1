// The numbers of the zip format that reader and writer share.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace regraft::zip {

inline constexpr std::string_view kLocalSignature = "PK\x03\x04";
inline constexpr std::string_view kCentralSignature = "PK\x01\x02";
inline constexpr std::string_view kDescriptorSignature = "PK\x07\x08";
inline constexpr std::string_view kEndSignature = "PK\x05\x06";
inline constexpr std::string_view kEnd64Signature = "PK\x06\x06";
inline constexpr std::string_view kLocator64Signature = "PK\x06\x07";

inline constexpr std::size_t kLocalSize = 30;  // without name and extra fields
inline constexpr std::size_t kCentralSize = 46;
inline constexpr std::size_t kEndSize = 22;
inline constexpr std::size_t kEnd64Size = 56;
inline constexpr std::size_t kLocator64Size = 20;

inline constexpr std::uint16_t kFlagEncrypted = 0x0001;
inline constexpr std::uint16_t kFlagLevels = 0x0006;  // how hard deflate tried
inline constexpr std::uint16_t kFlagDescriptor = 0x0008;
inline constexpr std::uint16_t kFlagUtf8 = 0x0800;

inline constexpr std::uint16_t kStored = 0;
inline constexpr std::uint16_t kDeflated = 8;

inline constexpr std::uint16_t kExtraZip64 = 0x0001;
inline constexpr std::uint16_t kExtraUnicodePath = 0x7075;
inline constexpr std::uint16_t kExtraPadding = 0x4246;  // "FB": PyTorch's alignment

// A 32-bit or 16-bit field with all bits set: the true value is in a zip64 record.
inline constexpr std::uint32_t kIn64 = 0xFFFFFFFF;
inline constexpr std::uint16_t kIn64Short = 0xFFFF;

}  // namespace regraft::zip
