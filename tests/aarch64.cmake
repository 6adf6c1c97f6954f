# Builds for aarch64 on another machine, and runs the tests under qemu (CONTRIBUTING.md, "Other processors"). Debian's arm64
# libraries stand beside those of the machine, or below AARCH64_ROOT, where they were unpacked.
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(CMAKE_C_COMPILER aarch64-linux-gnu-gcc)
set(root $ENV{AARCH64_ROOT})
if(root)
    set(CMAKE_SYSROOT ${root})
    set(ENV{PKG_CONFIG_SYSROOT_DIR} ${root})
endif()
set(ENV{PKG_CONFIG_LIBDIR} ${root}/usr/lib/aarch64-linux-gnu/pkgconfig:${root}/usr/share/pkgconfig)
set(CMAKE_CROSSCOMPILING_EMULATOR qemu-aarch64 -L ${root}/)
set(CMAKE_C_FLAGS_INIT -Wno-maybe-uninitialized) # this compiler sees uses that cannot be
