// Tenon's extension from a guest in Rust, without crates.
// args: digits
// host: --nn-graph digits="$root/examples/digits/digits.onnx"
// expect: x-like input of rank 4, 1 output
// expect: bound: sum is one: true
// expect: with names: same: true
// expect: refused: true, the message names the function: true
#[path = "../../../examples/include/tenon_nn.rs"]
mod tenon_nn;

use tenon_nn::*;

#[link(wasm_import_module = "wasi_ephemeral_nn")]
extern "C" {
    fn load_by_name(name: *const u8, length: usize, graph: *mut u32) -> i32;
    fn init_execution_context(graph: u32, context: *mut u32) -> i32;
    #[link_name = "compute"]
    fn compute_bound(context: u32) -> i32;
}

fn name_of(graph: u32, kind: u32) -> Vec<u8> {
    let mut text = vec![0u8; 64];
    let mut length = 0;
    assert_eq!(unsafe { name(graph, kind, 0, text.as_mut_ptr(), text.len(), &mut length) }, 0);
    text.truncate(length);
    text
}

fn main() {
    let model = std::env::args().nth(1).expect("the name of a model");
    let image: Vec<f32> = (0..64).map(|i| (i % 16) as f32 / 16.0).collect();
    let (mut p, mut q) = ([0f32; 10], [0f32; 10]);
    let (mut graph, mut context, mut outputs) = (0, 0, 0);
    let mut info = Info::default();
    unsafe {
        assert_eq!(load_by_name(model.as_ptr(), model.len(), &mut graph), 0);
        assert_eq!(init_execution_context(graph, &mut context), 0);
        assert_eq!(describe(graph, INPUT, 0, &mut info), 0);
        assert_eq!(output_count(graph, &mut outputs), 0);
        println!("x-like input of rank {}, {} output", info.rank, outputs);
        assert_eq!(bind_input(context, 0, image.as_ptr() as *const u8, 256), 0, "{}", message());
        assert_eq!(bind_output(context, 0, p.as_mut_ptr() as *mut u8, 40), 0, "{}", message());
        assert_eq!(compute_bound(context), 0, "{}", message());
        println!("bound: sum is one: {}", (p.iter().sum::<f32>() - 1.0).abs() < 1e-4);
        let (input, output) = (name_of(graph, INPUT), name_of(graph, OUTPUT));
        let dims = [1u32, 1, 8, 8];
        let tensor = Tensor { dims: dims.as_ptr(), rank: 4, kind: 1, data: image.as_ptr() as *const u8, size: 256 };
        let inputs = [NamedInput { name: input.as_ptr(), name_length: input.len(), tensor }];
        let mut outs = [NamedOutput {
            name: output.as_ptr(),
            name_length: output.len(),
            buffer: q.as_mut_ptr() as *mut u8,
            capacity: 40,
            written: 0,
        }];
        assert_eq!(compute(context, inputs.as_ptr(), 1, outs.as_mut_ptr(), 1), 0, "{}", message());
        println!("with names: same: {}", outs[0].written == 40 && p == q);
        let refused = bind_output(context, 7, p.as_mut_ptr() as *mut u8, 40) != 0;
        println!("refused: {}, the message names the function: {}", refused, message().contains("tenon_nn.bind_output"));
    }
}
