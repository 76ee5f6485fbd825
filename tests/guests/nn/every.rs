// Every function of wasi_ephemeral_nn, WasmEdge's additions, WAMR's wasi_nn and tenon_nn from a guest in Rust, without
// crates. Each way of running the digits model must give the same bytes.
// args: digits
// host: --nn-graph digits="$root/examples/digits/digits.onnx"
// expect: ephemeral: sum is one: true
// expect: legacy: the same: true
// expect: bound: the same: true
// expect: bound by name: the same: true
// expect: bound with dimensions: the same: true
// expect: by name: the same: true
// expect: streaming: 6 6 6
// expect: garbage: refused in both modules
// expect: closed: 0 0 1 1
#[path = "../../../examples/include/tenon_nn.rs"]
mod tenon_nn;

use tenon_nn::{Info, Tensor, INPUT, OUTPUT};

mod ephemeral {
    use super::Tensor;
    #[repr(C)]
    pub struct Builder {
        pub data: *const u8,
        pub size: usize,
    }
    #[link(wasm_import_module = "wasi_ephemeral_nn")]
    extern "C" {
        pub fn load(builders: *const Builder, count: usize, encoding: u32, target: u32, graph: *mut u32) -> i32;
        pub fn load_by_name(name: *const u8, length: usize, graph: *mut u32) -> i32;
        pub fn load_by_name_with_config(name: *const u8, length: usize, config: *const u8, size: usize,
            graph: *mut u32) -> i32;
        pub fn init_execution_context(graph: u32, context: *mut u32) -> i32;
        pub fn set_input(context: u32, index: u32, tensor: *const Tensor) -> i32;
        pub fn compute(context: u32) -> i32;
        pub fn get_output(context: u32, index: u32, buffer: *mut u8, size: usize, written: *mut usize) -> i32;
        pub fn compute_single(context: u32) -> i32;
        pub fn get_output_single(context: u32, index: u32, buffer: *mut u8, size: usize, written: *mut usize) -> i32;
        pub fn fini_single(context: u32) -> i32;
        pub fn unload(graph: u32) -> i32;
        pub fn finalize_execution_context(context: u32) -> i32;
    }
}

mod legacy {
    #[repr(C)]
    pub struct Array {
        pub data: *const u8,
        pub size: usize,
    }
    #[repr(C)]
    pub struct Tensor {
        pub dimensions: *const Array,
        pub kind: u32,
        pub data: *const u8,
    }
    #[link(wasm_import_module = "wasi_nn")]
    extern "C" {
        pub fn load(builders: *const Array, encoding: u32, target: u32, graph: *mut u32) -> i32;
        pub fn load_by_name(name: *const u8, length: usize, graph: *mut u32) -> i32;
        pub fn init_execution_context(graph: u32, context: *mut u32) -> i32;
        pub fn set_input(context: u32, index: u32, tensor: *const Tensor) -> i32;
        pub fn compute(context: u32) -> i32;
        pub fn get_output(context: u32, index: u32, buffer: *mut u8, size: *mut usize) -> i32;
    }
}

type Scores = [f32; 10];
const SIZE: usize = std::mem::size_of::<Scores>();

fn check(what: &str, error: i32) {
    if error != 0 {
        println!("{what}: error {error}: {}", tenon_nn::message());
        std::process::exit(1);
    }
}

fn run_ephemeral(model: &str, tensor: &Tensor) -> (u32, u32, Scores) {
    let (mut graph, mut context, mut written, mut p) = (0, 0, 0, [0f32; 10]);
    let config = b"{}";
    unsafe {
        check("load_by_name", ephemeral::load_by_name(model.as_ptr(), model.len(), &mut graph));
        check("unload", ephemeral::unload(graph));
        let (text, length) = (model.as_ptr(), model.len());
        check("with config",
            ephemeral::load_by_name_with_config(text, length, config.as_ptr(), config.len(), &mut graph));
        check("init", ephemeral::init_execution_context(graph, &mut context));
        check("set_input", ephemeral::set_input(context, 0, tensor));
        check("compute", ephemeral::compute(context));
        check("get_output", ephemeral::get_output(context, 0, p.as_mut_ptr() as *mut u8, SIZE, &mut written));
    }
    assert_eq!(written, SIZE);
    (graph, context, p)
}

fn run_legacy(model: &str, dims: &[u32; 4], image: &[f32]) -> Scores {
    let (mut graph, mut context, mut size, mut p) = (0, 0, 10, [0f32; 10]);
    let shape = legacy::Array { data: dims.as_ptr() as *const u8, size: 4 };
    let tensor = legacy::Tensor { dimensions: &shape, kind: 1, data: image.as_ptr() as *const u8 };
    unsafe {
        check("legacy load_by_name", legacy::load_by_name(model.as_ptr(), model.len(), &mut graph));
        check("legacy init", legacy::init_execution_context(graph, &mut context));
        check("legacy set_input", legacy::set_input(context, 0, &tensor));
        check("legacy compute", legacy::compute(context));
        check("legacy get_output", legacy::get_output(context, 0, p.as_mut_ptr() as *mut u8, &mut size));
    }
    assert_eq!(size, 10);
    p
}

fn name_of(graph: u32, kind: u32) -> Vec<u8> {
    let (mut text, mut length) = (vec![0u8; 64], 0);
    check("name", unsafe { tenon_nn::name(graph, kind, 0, text.as_mut_ptr(), text.len(), &mut length) });
    text.truncate(length);
    text
}

// What tenon_nn has beside the calls of the standard.
fn run_extension(graph: u32, tensor: &Tensor, dims: &[u32; 4], image: &[f32], expected: &Scores) {
    let (input, output) = (name_of(graph, INPUT), name_of(graph, OUTPUT));
    let (data, bytes) = (image.as_ptr() as *const u8, std::mem::size_of_val(image));
    let (mut context, mut counts, mut info) = (0, [0u32; 2], Info::default());
    let mut q = [0f32; 10];
    let to = q.as_mut_ptr() as *mut u8;
    unsafe {
        check("init", ephemeral::init_execution_context(graph, &mut context));
        check("input_count", tenon_nn::input_count(graph, &mut counts[0]));
        check("output_count", tenon_nn::output_count(context, &mut counts[1]));
        check("describe", tenon_nn::describe(graph, INPUT, 0, &mut info));
        assert_eq!((counts, info.kind, info.rank), ([1, 1], 1, 4));
        check("bind_input", tenon_nn::bind_input(context, 0, data, bytes));
        check("bind_output", tenon_nn::bind_output(context, 0, to, SIZE));
        check("compute", ephemeral::compute(context));
        println!("bound: the same: {}", &q == expected);
        q = [0.0; 10];
        check("unbind", tenon_nn::unbind(context, OUTPUT, 0));
        check("bind by name", tenon_nn::bind_input_by_name(context, input.as_ptr(), input.len(), data, bytes));
        check("bind by name", tenon_nn::bind_output_by_name(context, output.as_ptr(), output.len(), to, SIZE));
        check("compute", ephemeral::compute(context));
        println!("bound by name: the same: {}", &q == expected);
        q = [0.0; 10];
        check("bind with dims", tenon_nn::bind_input_with_dims(context, 0, dims.as_ptr(), 4, data, bytes));
        check("compute", ephemeral::compute(context));
        println!("bound with dimensions: the same: {}", &q == expected);
        q = [0.0; 10];
        let mut written = 0;
        check("unbind", tenon_nn::unbind(context, OUTPUT, 0));
        check("set by name", tenon_nn::set_input_by_name(context, input.as_ptr(), input.len(), tensor));
        check("compute", tenon_nn::compute(context, std::ptr::null(), 0, std::ptr::null_mut(), 0));
        check("get by name",
            tenon_nn::get_output_by_name(context, output.as_ptr(), output.len(), to, SIZE, &mut written));
        println!("by name: the same: {}", written == SIZE && &q == expected);
        check("close", ephemeral::finalize_execution_context(context));
    }
}

fn main() {
    let model = std::env::args().nth(1).expect("the name of a model");
    let image: Vec<f32> = (0..64).map(|i| (i % 16) as f32 / 16.0).collect();
    let dims = [1u32, 1, 8, 8];
    let tensor = Tensor { dims: dims.as_ptr(), rank: 4, kind: 1, data: image.as_ptr() as *const u8, size: 256 };
    let (graph, context, p) = run_ephemeral(&model, &tensor);
    println!("ephemeral: sum is one: {}", (p.iter().sum::<f32>() - 1.0).abs() < 1e-4);
    println!("legacy: the same: {}", run_legacy(&model, &dims, &image) == p);
    run_extension(graph, &tensor, &dims, &image, &p);
    let mut written = 0;
    unsafe {
        let mut byte = 0u8;
        println!("streaming: {} {} {}", ephemeral::compute_single(context),
            ephemeral::get_output_single(context, 0, &mut byte, 1, &mut written), ephemeral::fini_single(context));
        let garbage = b"no model";
        let builder = ephemeral::Builder { data: garbage.as_ptr(), size: garbage.len() };
        let array = legacy::Array { data: garbage.as_ptr(), size: garbage.len() };
        let arrays = legacy::Array { data: &array as *const _ as *const u8, size: 1 };
        let mut none = 0;
        let loaded = ephemeral::load(&builder, 1, 1, 0, &mut none) == 0 || legacy::load(&arrays, 1, 0, &mut none) == 0;
        println!("garbage: {} in both modules", if loaded { "LOADED" } else { "refused" });
        println!("closed: {} {} {} {}", ephemeral::finalize_execution_context(context), ephemeral::unload(graph),
            ephemeral::finalize_execution_context(context), ephemeral::unload(graph));
    }
}
