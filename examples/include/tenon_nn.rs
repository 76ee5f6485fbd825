//! Tenon's extension of wasi-nn for guests in Rust: module tenon_nn, as in tenon_nn.h, which describes the functions.
//! `mod tenon_nn;` with this file beside the guest's source; no crate is needed.
#![allow(dead_code)]

pub const INPUT: u32 = 0;
pub const OUTPUT: u32 = 1;
/// A dimension that an inference decides.
pub const DYNAMIC: u32 = u32::MAX;

/// A wasi-nn tensor.
#[repr(C)]
pub struct Tensor {
    pub dims: *const u32,
    pub rank: usize,
    pub kind: u8,
    pub data: *const u8,
    pub size: usize,
}

/// `size` is 0 while a dimension is dynamic; a rank of `u32::MAX` means any.
#[repr(C)]
#[derive(Default, Clone, Copy, Debug)]
pub struct Info {
    pub kind: u32,
    pub rank: u32,
    pub size: u64,
    pub dims: [u32; 12],
}

#[repr(C)]
pub struct NamedInput {
    pub name: *const u8,
    pub name_length: usize,
    pub tensor: Tensor,
}

#[repr(C)]
pub struct NamedOutput {
    pub name: *const u8,
    pub name_length: usize,
    pub buffer: *mut u8,
    pub capacity: usize,
    pub written: usize,
}

#[link(wasm_import_module = "tenon_nn")]
extern "C" {
    pub fn input_count(handle: u32, count: *mut u32) -> i32;
    pub fn output_count(handle: u32, count: *mut u32) -> i32;
    pub fn describe(handle: u32, kind: u32, index: u32, info: *mut Info) -> i32;
    pub fn name(handle: u32, kind: u32, index: u32, buffer: *mut u8, capacity: usize, length: *mut usize) -> i32;
    pub fn bind_input(context: u32, index: u32, data: *const u8, size: usize) -> i32;
    pub fn bind_input_by_name(context: u32, name: *const u8, name_length: usize, data: *const u8, size: usize) -> i32;
    pub fn bind_input_with_dims(context: u32, index: u32, dims: *const u32, rank: usize, data: *const u8, size: usize)
        -> i32;
    pub fn bind_output(context: u32, index: u32, data: *mut u8, size: usize) -> i32;
    pub fn bind_output_by_name(context: u32, name: *const u8, name_length: usize, data: *mut u8, size: usize) -> i32;
    pub fn unbind(context: u32, kind: u32, index: u32) -> i32;
    pub fn set_input_by_name(context: u32, name: *const u8, name_length: usize, tensor: *const Tensor) -> i32;
    pub fn get_output_by_name(context: u32, name: *const u8, name_length: usize, buffer: *mut u8, capacity: usize,
        written: *mut usize) -> i32;
    pub fn compute(context: u32, inputs: *const NamedInput, input_count: usize, outputs: *mut NamedOutput,
        output_count: usize) -> i32;
    pub fn last_error(buffer: *mut u8, capacity: usize, length: *mut usize) -> i32;
}

/// The message of the last call that failed.
pub fn message() -> String {
    let mut text = vec![0u8; 1024];
    let mut length = 0;
    unsafe { last_error(text.as_mut_ptr(), text.len(), &mut length) };
    text.truncate(length);
    String::from_utf8_lossy(&text).into_owned()
}
