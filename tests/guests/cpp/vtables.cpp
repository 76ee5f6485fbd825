// Virtual functions, multiple and virtual inheritance, run-time type information, destructors in order.
#include <cstdio>
#include <memory>
#include <typeinfo>
#include <vector>

struct Shape {
  virtual ~Shape() { std::printf("~Shape "); }
  virtual double area() const = 0;
  virtual const char* name() const { return "shape"; }
};
struct Named {
  virtual ~Named() = default;
  virtual int label() const { return 1; }
  int tag = 11;
};
struct Square : Shape, Named {
  explicit Square(double s) : side(s) {}
  ~Square() override { std::printf("~Square "); }
  double area() const override { return side * side; }
  int label() const override { return static_cast<int>(side) + tag; }
  double side;
};
struct Circle : Shape {
  explicit Circle(double r) : radius(r) {}
  double area() const override { return 3.0 * radius * radius; }
  const char* name() const override { return "circle"; }
  double radius;
};

struct Base {
  int value = 5;
  virtual int get() const { return value; }
  virtual ~Base() = default;
};
struct Left : virtual Base {
  int get() const override { return value * 2; }
};
struct Right : virtual Base {};
struct Bottom : Left, Right {
  int get() const override { return Left::get() + 1; }
};

int main() {
  std::vector<std::unique_ptr<Shape>> shapes;
  for (int i = 1; i <= 3; i++) {
    shapes.push_back(std::make_unique<Square>(i));
    shapes.push_back(std::make_unique<Circle>(i));
  }
  for (const auto& owner : shapes) {
    const Shape& shape = *owner;
    const auto* named = dynamic_cast<const Named*>(&shape);
    std::printf("%s %.2f %d %d\n", shape.name(), shape.area(), named ? named->label() : -1,
                typeid(shape) == typeid(Circle));
  }
  shapes.erase(shapes.begin() + 1, shapes.begin() + 4);
  std::printf("\n");
  while (!shapes.empty()) shapes.pop_back();
  std::printf("\n");
  Bottom bottom;
  bottom.value = 20;
  Right& right = bottom;
  std::printf("%d %d\n", right.get(), static_cast<Base&>(bottom).value);
  return 0;
}
